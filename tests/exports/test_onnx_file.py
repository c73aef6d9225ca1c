"""Tests that ONNX files accept batches and caches, and that changed graphs are refused."""

import json
from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
import pytest
from exported_files import refusal, written
from exported_models import ARCHITECTURES, drawn_tokens, log_probabilities, saved_model
from onnx import TensorProto, helper

from microgpt.errors import CheckpointError
from microgpt_exports.format import RECEIPT
from microgpt_exports.onnx_file import ONNX_FORMAT, run


@pytest.mark.compiled
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_onnx_file_gives_equal_results_with_and_without_a_cache(architecture, tmp_path) -> None:
    saved = saved_model("chat", architecture=architecture)
    session = onnxruntime.InferenceSession(written(ONNX_FORMAT, saved, tmp_path))
    size, caches = saved.model.block_size, session.get_inputs()[1:]
    batch = np.array([drawn_tokens(saved, size, seed) for seed in (1, 2)])
    expected = np.array([log_probabilities(saved, tokens.tolist()) for tokens in batch])
    empty = {"batch": 2, "past": 0}
    for pieces in ((0, size), (0, 1, 2, 40, 41, size)):
        shapes = {each.name: [empty.get(n, n) for n in each.shape] for each in caches}
        cache = {name: np.zeros(shape, "float32") for name, shape in shapes.items()}
        found = []
        for start, end in pairwise(pieces):
            ids = {"input_ids": batch[:, start:end]}
            logits, *present = session.run(None, ids | cache)
            cache = dict(zip(cache, present, strict=True))
            found.append(logits.astype(float))
        logits = np.concatenate(found, axis=1)
        logits -= np.logaddexp.reduce(logits, 2, keepdims=True)
        assert np.abs(logits - expected).max() < 1e-4


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_onnxruntime_loads_an_onnx_file_without_warnings(architecture, tmp_path, capfd) -> None:
    saved = saved_model("chat", architecture=architecture)
    onnxruntime.InferenceSession(written(ONNX_FORMAT, saved, tmp_path))
    assert capfd.readouterr().err == ""


def test_an_onnx_graph_that_cannot_run_gives_a_one_line_error(tmp_path) -> None:
    problem = r"^onnxruntime \S+ cannot run the model: [^\n]+$"
    with pytest.raises(CheckpointError, match=problem):
        run(b"not a model")
    read = run(written(ONNX_FORMAT, saved_model(block_size=8), tmp_path))
    with pytest.raises(CheckpointError, match=problem):
        read([1] * 9, None)


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    saved = saved_model(architecture="modern")
    return written(ONNX_FORMAT, saved, tmp_path_factory.mktemp("onnx")).read_bytes()


def test_an_onnx_graph_with_external_data_is_refused(content, tmp_path) -> None:
    model = onnx.load_model_from_string(content)
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    problem = refusal(ONNX_FORMAT.read, tmp_path / "model", model.SerializeToString())
    assert "differs from what this version of microgpt writes" in problem


@pytest.mark.parametrize(
    ("size", "problem"),
    [(2**31 - 1, "block_size times n_embd is above"), (10**6, "differs from what this version")],
)
def test_an_onnx_file_is_refused_if_its_metadata_and_graph_differ_in_context_length(
    size, problem, content, tmp_path
) -> None:
    model = onnx.load_model_from_string(content)
    entry = next(each for each in model.metadata_props if each.key == RECEIPT)
    facts = json.loads(entry.value)
    facts["model"]["block_size"] = size
    entry.value = json.dumps(facts)
    assert problem in refusal(ONNX_FORMAT.read, tmp_path / "model", model.SerializeToString())


def test_a_foreign_or_extended_onnx_file_is_not_accepted(content, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(onnx, "load_model_from_string", None)
    graph = helper.make_graph([], "other", [], [])
    nodes = b"\x0a\x00" * 2**13  # 8,192 empty nodes of a graph
    for foreign in (helper.make_model(graph).SerializeToString(), b"\x3a\x80\x80\x01" + nodes):
        (tmp_path / "model").write_bytes(foreign)
        assert ONNX_FORMAT.read(tmp_path / "model") is None
    problem = refusal(ONNX_FORMAT.read, tmp_path / "model", content + nodes)
    assert "differs from what this version" in problem
