"""`microgpt export`: convert a model to another format."""

from pathlib import Path
from typing import cast, get_args

from microgpt import ConfigError, WeightsFormat, find_plugins
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.help import examples

OWN = get_args(WeightsFormat)
# Documented formats, and the optional packages that provide them.
PACKAGES = dict.fromkeys(("c", "c-int8", "gguf", "onnx", "transformers"), "microgpt-exports")
PACKAGES["html"] = "microgpt-page"


def formats() -> list[str]:
    """Return the names of the installed export formats."""
    return [*OWN, *sorted(find_plugins("exports").keys() - {*OWN})]


@examples("microgpt export -o small --format float16", "microgpt export -o names.html")
def export(
    output: Path = opt.option(
        ...,
        "Output directory, which can be the model directory; for html, c, gguf and onnx, a file.",
        "--output",
        "-o",
    ),
    model: Path | None = opt.MODEL_ARGUMENT,
    model_option: Path | None = opt.MODEL_OPTION,
    format: str | None = opt.option(
        None,
        "Format, see above.  [default: the suffix of the output, else safetensors]",
        metavar=f"<{'|'.join(formats())}>",
        autocompletion=formats,
    ),
    force: bool = opt.flag("--force", "Replace an existing file or model."),
) -> None:
    """Write a model in another format.

    Other programs can read safetensors and float16, which takes two bytes per weight; JSON is
    human-readable. Every command reads all three. An HTML file contains the model, the engine and
    the playground, and works in a browser without a network connection. A C file needs only a
    compiler. An ONNX file runs in onnxruntime, a GGUF file in llama.cpp, ollama and LM Studio, and
    a transformers directory in Python; `microgpt verify PATH` compares their results with those of
    the model. GGUF and transformers require `train --architecture portable`; the model can learn
    from another one (`--teacher`).
    """
    model_dir = opt.model_of(model, model_option)
    if format is None:
        format = _format_of(output) or "safetensors"
        if format in OWN and output.suffix[1:].isalpha() and not output.is_dir():
            raise ConfigError(f"no format has the suffix {output.suffix}; choose one with --format")
    if format in OWN:
        files = _write_model(model_dir, output, cast("WeightsFormat", format), is_forced=force)
    else:
        files = _write_export(model_dir, output, format, is_forced=force)
    for file in files:
        print(terminal_safe(f"{file}: {file.stat().st_size:,} bytes"))


def _format_of(file: Path) -> str | None:
    """Return the export format for a file's suffix, or None if there is none."""
    ending = file.suffix[1:].lower()
    return ending if ending in {*PACKAGES, *find_plugins("exports")} and not file.is_dir() else None


def _write_model(
    model_dir: Path, output: Path, format: WeightsFormat, *, is_forced: bool
) -> list[Path]:
    """Write a model directory, and return its weights file."""
    from microgpt import WEIGHTS_FILES, has_copy, save
    from microgpt_cli.model_loading import load_model
    from microgpt_cli.training.replacement import check_replacement

    if other := _format_of(output):
        raise ConfigError(f"--format {format} writes a directory; for a file, use --format {other}")
    saved = load_model(model_dir)
    is_in_place = output.exists() and output.samefile(model_dir)
    if not (is_forced or is_in_place or has_copy(output, saved)):
        check_replacement(output, "--output")
    save(saved, output, weights_format=format)
    return [output / WEIGHTS_FILES[format]]


def _write_export(model_dir: Path, output: Path, format: str, *, is_forced: bool) -> list[Path]:
    """Write a model in the format of an export plug-in, and return the written files."""
    from microgpt import (
        ExportFormat,
        ExportRequest,
        blaming,
        name_of,
        on_compiling,
        plugin,
        publish,
    )
    from microgpt_cli.model_loading import load_model
    from microgpt_cli.training.replacement import check_export

    found: ExportFormat | None = plugin("exports", format)
    if not found and format in PACKAGES:
        raise ConfigError(f"--format {format} requires the package {PACKAGES[format]}; install it")
    if not found:
        raise ConfigError(f"--format must be one of {', '.join(formats())}, got {format}")
    saved = load_model(model_dir)
    with on_compiling(note), blaming(find_plugins("exports")[format], "failed"):
        check_export(output, found.mark, f"model.{format}", is_forced=is_forced)
        encoded = found.encode(saved, ExportRequest(output, name_of(model_dir), note))
        files = {Path(path): bytes(content) for path, content in encoded.items()}
    if not found.mark:
        for beside in files.keys() - {output}:
            check_export(beside, None, beside.name, is_forced=is_forced)
    for directory in {file.parent for file in files}:
        publish(directory, {each.name: files[each] for each in files if each.parent == directory})
    return [*files]
