"""Tests that other programs reproduce a model's results, and that changed files are refused."""

import random
import shutil
import sys
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from exported_files import FORMATS, refusal, written
from exported_models import PORTABLE, TOKENIZERS, drawn_shape, saved_model

from microgpt import ExportRequest
from microgpt.errors import CheckpointError, ConfigError
from microgpt.storage.model_metadata import SavedModel
from microgpt_exports import gguf_file, onnx_file, transformers_directory
from microgpt_exports.format import Format, Numbers
from microgpt_exports.receipt import Comparison, compare

PROGRAMS = {"gguf": "llama_cpp", "onnx": "onnxruntime", "transformers": "transformers"}
IN_C = ("c", "c-int8")
SLOW = pytest.mark.slow


def check_program(format: Format) -> None:
    """Skip a test if the program that reads a format is not installed."""
    if format.name in IN_C:
        if not shutil.which("cc"):
            pytest.skip("needs a C compiler")
    elif not find_spec(PROGRAMS[format.name]):
        pytest.skip(f"needs {PROGRAMS[format.name]}")


def drawn_model(format: Format, seed: int) -> SavedModel:
    """Return a random model that a format supports."""
    shape = drawn_shape(seed)
    if format.name in ("gguf", "transformers"):
        shape |= {"n_embd": 2 * shape["n_embd"], **PORTABLE}
    known = ["names", "chat"] if format.name in IN_C else [*TOKENIZERS]
    return saved_model(random.Random(seed).choice(known), seed=seed, **shape)


@pytest.mark.parametrize("format", FORMATS, ids=lambda each: each.name)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=SLOW) for seed in range(1, 10))])
def test_results_and_receipts_of_random_exports_match_the_models(format, seed, tmp_path) -> None:
    check_program(format)
    saved = drawn_model(format, seed)
    path = written(format, saved, tmp_path)
    receipt = format.read(path)
    found = compare(receipt, format.run(path))
    assert found.largest < 1e-4
    assert found.verification.passed
    assert receipt.model == saved.model
    assert receipt.model_sha256 == saved.sha256
    assert receipt.tokenizer.ids["bos"] == saved.tokenizer.bos_id


@pytest.mark.compiled
@pytest.mark.parametrize("format", FORMATS, ids=lambda each: each.name)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_other_programs_give_the_same_tokens_and_probabilities(format, tokenizer, tmp_path) -> None:
    check_program(format)
    if format.name in IN_C and tokenizer == "text":
        pytest.skip("a C file has characters")
    path = written(format, saved_model(tokenizer, **PORTABLE), tmp_path)
    receipt = format.read(path)
    assert len(receipt.greedy) == 257
    found = compare(receipt, format.run(path))
    assert (found.n_equal, found.n_greedy) == (256, 256)
    assert found.largest < 1e-4
    assert len({text.tokens for text in receipt.texts}) > 10


@pytest.mark.parametrize(
    ("facts", "passes"),
    [
        ({}, True),
        ({"largest": 0.0011}, False),
        ({"largest": float("nan")}, False),
        ({"n_equal": 2}, False),
    ],
)
def test_verification_passes_only_within_all_limits(facts, passes) -> None:
    found = replace(Comparison(largest=0.001, n_equal=3, n_greedy=3), **facts)
    assert found.verification.passed == passes


@pytest.mark.parametrize(
    ("run", "module", "extra"),
    [(onnx_file.run, "onnxruntime", "onnx"), (gguf_file.run, "llama_cpp", "gguf"),
     (transformers_directory.run, "torch", "transformers")],
)  # fmt: skip
def test_the_error_for_a_missing_program_says_which_extra_to_install(
    run, module, extra, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"run: pip install 'microgpt-exports\[{extra}\]'"):
        run(Path("model"))


def test_reading_an_onnx_file_without_onnx_names_the_extra(monkeypatch, tmp_path) -> None:
    path = written(onnx_file.ONNX_FORMAT, saved_model(block_size=8), tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"^ONNX files require microgpt-exports\[onnx\]"):
        onnx_file.ONNX_FORMAT.read(path)


@pytest.mark.parametrize("format", FORMATS, ids=lambda each: each.name)
def test_every_format_refuses_models_that_it_cannot_represent(format) -> None:
    request = ExportRequest(Path("model"), "model", print)
    saved = saved_model("chat", **PORTABLE)
    known = saved.meta.model_copy(update={"extra": {"characters": {}}})
    with pytest.raises(ConfigError, match="cannot compare messages"):
        format.write(replace(saved, meta=known), request)
    with pytest.raises(ConfigError, match="at most 512 layers, not 513; use --format html"):
        format.write(saved_model(n_layer=513, n_embd=2, n_head=1, **PORTABLE), request)
    saved.weights["wte"][0][0] = 1e300
    with pytest.raises(CheckpointError, match="wte has a weight that is too large for float32"):
        format.write(saved, request)


@cache
def parts(format: Format) -> dict[str, list[bytes]]:
    """Return each file of an export as a list of parts, to separate the weights from the rest."""
    saved = saved_model("chat", block_size=16, n_layer=1, **PORTABLE)
    written: dict[str, list[bytes]] = {}

    def files(*of):
        written.update(format.files(*of))
        return format.files(*of)

    replace(format, files=files).write(saved, ExportRequest(Path("model"), "model", str))
    return written


@pytest.mark.parametrize("format", FORMATS, ids=lambda each: each.name)
def test_an_export_with_changed_weights_is_refused(format, tmp_path) -> None:
    files = {**parts(format)}
    content = files[format.weights_file]
    at = next(i for i, part in enumerate(content) if isinstance(part, Numbers))
    last, end = content[at][-3:-2], content[at][-2:]
    for changed, problem in (
        (content[at][:-3] + (b"1" if last == b"2" else b"2") + end, "its weights are not those of"),
        (content[at][:-3] + end, "differs from what this version of microgpt writes"),
    ):
        files[format.weights_file] = [*content[:at], changed, *content[at + 1 :]]
        for name, each in files.items():
            (tmp_path / "model" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "model" / name).write_bytes(b"".join(each))
        assert problem in refusal(format.read, tmp_path / "model")
