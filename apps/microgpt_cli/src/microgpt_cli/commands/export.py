"""`microgpt export`: convert a model to another format."""

import os
from pathlib import Path
from typing import Literal

from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import terminal_safe


def export(
    output: Path = opt.option(..., "Output directory; can be the model's directory."),
    model: Path | None = opt.MODEL_ARGUMENT,
    model_option: Path | None = opt.MODEL_OPTION,
    unfinished: bool = opt.UNFINISHED,
    format: Literal["json", "safetensors"] = opt.option("safetensors", "Format of the weights."),
    half: bool = opt.flag("--half", "Round the weights to half precision (2 bytes per weight)."),
    force: bool = opt.flag("--force", "Replace another model in the output directory."),
) -> None:
    """Write a model in another format.

    Other programs can read safetensors; JSON is human-readable. All commands read both formats.
    """
    model_dir = opt.one_of(model, model_option, "--model") or opt.DEFAULT_MODEL_DIR

    from microgpt.storage.model_directory import export as export_model
    from microgpt.storage.model_directory import has_copy
    from microgpt_cli.model_loading import load_model
    from microgpt_cli.training.replacement import confirm_replacement

    saved = load_model(model_dir, unfinished=unfinished)
    is_in_place = not unfinished and os.path.realpath(output) == os.path.realpath(model_dir)
    if not (force or is_in_place or has_copy(output, saved)):
        confirm_replacement(output, "--output")
    file = export_model(saved, output, weights_format=format, half=half)
    print(terminal_safe(f"{file}: {file.stat().st_size:,} bytes"))
