"""`microgpt export`: convert a model to another format."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe

if TYPE_CHECKING:
    from microgpt_serve.served_model import ServedModel


def export(
    output: Path = opt.option(
        ..., "Output directory, which can be the model directory; for html, the output file."
    ),
    model: Path | None = opt.MODEL_ARGUMENT,
    model_option: Path | None = opt.MODEL_OPTION,
    unfinished: bool = opt.UNFINISHED,
    format: Literal["json", "safetensors", "html"] = opt.option(
        "safetensors", "Format of the weights, or html: a page that runs the model in a browser."
    ),
    half: bool = opt.flag("--half", "Round the weights to half precision (2 bytes per weight)."),
    force: bool = opt.flag(
        "--force", "Replace an existing file, or another model in the output directory."
    ),
) -> None:
    """Write a model in another format.

    Other programs can read safetensors; JSON is human-readable. All commands read both formats. An
    HTML file contains the model, the engine and the playground; it works in a browser, without a
    network.
    """
    model_dir = opt.one_of(model, model_option, "--model") or opt.DEFAULT_MODEL_DIR

    from microgpt.errors import ConfigError
    from microgpt.storage.model_directory import export as export_model
    from microgpt.storage.model_directory import has_copy
    from microgpt_cli.model_loading import load_model
    from microgpt_cli.training.replacement import confirm_file, confirm_replacement

    if format == "html":
        from microgpt_serve.served_model import served_model

        if half:
            raise ConfigError("html chooses the precision itself; omit --half")
        if not force:
            confirm_file(output, "--output")
        saved = load_model(model_dir, unfinished=unfinished)
        write_page(served_model(saved, model_dir, note), output)
        return
    saved = load_model(model_dir, unfinished=unfinished)
    is_in_place = not unfinished and os.path.realpath(output) == os.path.realpath(model_dir)
    if not (force or is_in_place or has_copy(output, saved)):
        confirm_replacement(output, "--output")
    file = export_model(saved, output, weights_format=format, half=half)
    print(terminal_safe(f"{file}: {file.stat().st_size:,} bytes"))


def write_page(served: "ServedModel", file: Path) -> None:
    """Write the HTML file of a model atomically, and print its path. A link to a file is kept."""
    from microgpt.engine.machine_code import on_compiling
    from microgpt.files.atomic_files import publish

    with on_compiling(note):
        page = served.html
    target = Path(os.path.realpath(file))
    publish(target.parent, {target.name: page})
    print(terminal_safe(f"{file}: {len(page):,} bytes"))
