"""`microgpt export`: convert a model to another format."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from microgpt.printable import printable
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.help import examples

if TYPE_CHECKING:
    from microgpt.config import WeightsFormat
    from microgpt.storage.saved_model import SavedModel

# Formats of other programs, and why they are not written in half precision.
OTHERS = {
    "html": "html chooses the precision itself",
    "onnx": "onnx uses float32, or int8 with --int8",
    "gguf": "gguf uses float32",
    "transformers": "transformers uses float32",
}


@examples(
    "microgpt export my-model --output small-model --half",
    "microgpt export my-model --format onnx --output my-model.onnx",
)
def export(
    output: Path = opt.option(
        ...,
        "Output directory, which can be the model directory; for html, onnx and gguf, a file.",
    ),
    model: Path | None = opt.MODEL_ARGUMENT,
    model_option: Path | None = opt.MODEL_OPTION,
    format: Literal["json", "safetensors", "html", "onnx", "gguf", "transformers"] = opt.option(
        "safetensors",
        "Format of the weights; html: a page that runs the model in a browser; onnx, gguf and "
        "transformers: for other programs.",
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
    network connection. An ONNX file runs in onnxruntime, a GGUF file in llama.cpp, ollama and LM
    Studio, and a directory of transformers in Python; `microgpt verify PATH` compares the results
    there with those of the model. GGUF and transformers require a model of `train --portable`; it
    can be a student of another model (`--teacher`).
    """
    model_dir = opt.one_of(model, model_option, "--model") or opt.DEFAULT_MODEL_DIR

    from microgpt.storage.model_directory import has_copy, save
    from microgpt.storage.model_sources import name_of
    from microgpt.storage.weights_file import WEIGHTS_FILES
    from microgpt_cli.model_loading import load_model
    from microgpt_cli.training.replacement import (
        confirm_directory,
        confirm_file,
        confirm_replacement,
    )
    from microgpt_exports.transformers_directory import RECEIPT

    check_options(format, output, half=half, int8=int8)
    if format == "transformers":
        confirm_directory(output, RECEIPT, is_forced=force)
    elif format in OTHERS and not force:
        confirm_file(output, example=f"model.{format}")
        if format == "gguf":
            confirm_file(modelfile_of(output))
    saved = load_model(model_dir)
    if format == "html":
        write_page(saved, name_of(model_dir), output)
    elif format in OTHERS:
        write_export(saved, output, format, int8=int8)
    else:
        is_in_place = os.path.realpath(output) == os.path.realpath(model_dir)
        if not (force or is_in_place or has_copy(output, saved)):
            confirm_replacement(output, "--output")
        weights_format = cast("WeightsFormat", format)
        save(saved, output, weights_format=weights_format, half=half)
        file = output / WEIGHTS_FILES[weights_format]
        print(terminal_safe(f"{file}: {file.stat().st_size:,} bytes"))


def check_options(format: str, output: Path, *, half: bool, int8: bool) -> None:
    """Raise ConfigError for an option that a format does not have."""
    from microgpt.errors import ConfigError

    if int8 and format != "onnx":
        raise ConfigError("--int8 requires --format onnx")
    if format in OTHERS and half:
        raise ConfigError(f"{OTHERS[format]}; omit --half")
    other = output.suffix[1:]
    if other in ("html", "onnx", "gguf") and format not in OTHERS and not output.is_dir():
        raise ConfigError(f"--format {format} writes a directory; for a file, use --format {other}")


def write_page(saved: "SavedModel", name: str, file: Path) -> None:
    """Write the HTML file of a model, and print its path."""
    from microgpt.compilation import on_compiling
    from microgpt.errors import ConfigError
    from microgpt.plugins import plugin
    from microgpt_cli.terminal.progress import showing_compilation

    if (encode := plugin("exports", "html")) is None:
        raise ConfigError("--format html requires the package microgpt-page; install it")
    with showing_compilation() as tell, on_compiling(tell):
        page = encode(saved, name)
    write_files({file: page})


def write_export(saved: "SavedModel", output: Path, format: str, *, int8: bool) -> None:
    """Write a model with its receipt for another program, and print the paths of its files."""
    from microgpt.compilation import on_compiling
    from microgpt.errors import ConfigError
    from microgpt_exports.gguf_file import encode_gguf, encode_modelfile
    from microgpt_exports.onnx_file import encode_onnx
    from microgpt_exports.receipt import REPLIES_OTHERWISE
    from microgpt_exports.transformers_directory import encode_transformers

    if saved.extra:  # the other errors would suggest a format or a training
        raise ConfigError(REPLIES_OTHERWISE)
    with on_compiling(note):
        if format == "onnx":
            files = {output: encode_onnx(saved, int8=int8)}
        elif format == "gguf":
            files = {output: encode_gguf(saved, output.stem)}
            files[modelfile_of(output)] = encode_modelfile(saved, output.name)
        else:
            found = encode_transformers(saved)
            files = {output / name: content for name, content in found.items()}
    write_files(files)
    if format != "onnx" and saved.tokenizer.chars:
        known = printable("".join(saved.tokenizer.chars))
        note(f'there, the tokenizer leaves out all characters other than "{known}"')


def modelfile_of(file: Path) -> Path:
    """Return the path of ollama's Modelfile for a GGUF file."""
    return Path(f"{file}.Modelfile")


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write the files of a directory atomically, and print their paths. Links to files are kept."""
    from microgpt.files.atomic_files import publish

    targets = {Path(os.path.realpath(file)): content for file, content in files.items()}
    for directory in dict.fromkeys(target.parent for target in targets):
        found = {each.name: targets[each] for each in targets if each.parent == directory}
        publish(directory, found)
    for file, content in files.items():
        print(terminal_safe(f"{file}: {len(content):,} bytes"))
