"""`microgpt export`: convert a model to another format."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe

if TYPE_CHECKING:
    from microgpt.storage.saved_model import SavedModel
    from microgpt_serve.served_model import ServedModel

# Formats of one file, and why they are not written in half precision.
FILES = {
    "html": "html chooses the precision itself",
    "onnx": "onnx uses float32, or int8 with --int8",
}


def export(
    output: Path = opt.option(
        ...,
        "Output directory, which may be the model directory; for html and onnx, the output file.",
    ),
    model: Path | None = opt.MODEL_ARGUMENT,
    model_option: Path | None = opt.MODEL_OPTION,
    unfinished: bool = opt.UNFINISHED,
    format: Literal["json", "safetensors", "html", "onnx"] = opt.option(
        "safetensors",
        "Output format. json, safetensors: a model directory. html: a page that runs "
        "the model in a browser. onnx: a graph with the weights.",
    ),
    half: bool = opt.flag("--half", "Round the weights to half precision (2 bytes per weight)."),
    int8: bool = opt.flag("--int8", "Round the weights of an ONNX file to 8 bits."),
    force: bool = opt.flag(
        "--force", "Replace an existing file, or another model in the output directory."
    ),
) -> None:
    """Write a model in another format.

    Other programs can read safetensors; JSON is human-readable. All commands read both formats. An
    HTML file contains the model, the engine and the playground; it works in a browser, without a
    network connection. An ONNX file runs in onnxruntime; `microgpt verify FILE` compares its
    results in onnxruntime with those of the model.
    """
    model_dir = opt.one_of(model, model_option, "--model") or opt.DEFAULT_MODEL_DIR

    from microgpt.errors import ConfigError
    from microgpt.storage.model_directory import export as export_model
    from microgpt.storage.model_directory import has_copy
    from microgpt_cli.model_loading import load_model
    from microgpt_cli.training.replacement import confirm_file, confirm_replacement

    if int8 and format != "onnx":
        raise ConfigError("--int8 requires --format onnx")
    if format in FILES:
        if half:
            raise ConfigError(f"{FILES[format]}; omit --half")
        if not force:
            confirm_file(output, "--output", example=f"model.{format}")
    saved = load_model(model_dir, unfinished=unfinished)
    if format == "html":
        from microgpt_serve.served_model import served_model

        write_page(served_model(saved, model_dir, note), output)
    elif format == "onnx":
        write_onnx(saved, output, int8=int8)
    else:
        is_in_place = not unfinished and os.path.realpath(output) == os.path.realpath(model_dir)
        if not (force or is_in_place or has_copy(output, saved)):
            confirm_replacement(output, "--output")
        file = export_model(saved, output, weights_format=format, half=half)
        print(terminal_safe(f"{file}: {file.stat().st_size:,} bytes"))


def write_page(served: "ServedModel", file: Path) -> None:
    """Write the HTML file of a model, and print its path."""
    from microgpt.engine.machine_code import on_compiling

    with on_compiling(note):
        page = served.html
    _write(page, file)


def write_onnx(saved: "SavedModel", file: Path, *, int8: bool) -> None:
    """Write the ONNX file of a model, and print its path."""
    from microgpt.engine.machine_code import on_compiling
    from microgpt.exports.onnx_file import encode_onnx

    with on_compiling(note):
        content = encode_onnx(saved, int8=int8)
    _write(content, file)


def _write(content: bytes, file: Path) -> None:
    """Write a file atomically, and print its path. A link to a file is kept."""
    from microgpt.files.atomic_files import publish

    target = Path(os.path.realpath(file))
    publish(target.parent, {target.name: content})
    print(terminal_safe(f"{file}: {len(content):,} bytes"))
