import json
from collections.abc import Callable
from functools import partial

import onnx
import pytest
from exported_models import refusal, saved_model
from onnx import TensorProto, helper

from microgpt_exports.onnx_file import encode_onnx, read_onnx
from microgpt_exports.receipt import RECEIPT


@pytest.fixture(scope="module")
def content() -> bytes:
    return encode_onnx(saved_model(architecture="modern"))


refused = partial(refusal, read_onnx)


def with_external_data(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def with_another_size(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] += 1


def with_a_loop(model: onnx.ModelProto) -> None:
    model.graph.node.add(op_type="Loop", name="loop")


def with_a_function(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="other")


def with_another_shape_constant(model: onnx.ModelProto) -> None:
    tensor = next(t for t in model.graph.initializer if t.data_type == TensorProto.INT64)
    tensor.raw_data = b"\x7f" * len(tensor.raw_data)


def with_a_custom_operator(model: onnx.ModelProto) -> None:
    model.opset_import.add(domain="ai.onnx.contrib", version=1)


@pytest.mark.parametrize(
    "change",
    [
        with_external_data, with_another_size, with_a_loop, with_a_function,
        with_another_shape_constant, with_a_custom_operator,
    ],
)  # fmt: skip
def test_a_changed_graph_is_refused(change: Callable[..., None], content, tmp_path) -> None:
    model = onnx.load_model_from_string(content)
    change(model)
    problem = refused(model.SerializeToString(), tmp_path)
    assert "differs from what this version of microgpt writes" in problem


def test_a_file_with_changed_weights_is_refused(content, tmp_path) -> None:
    model = onnx.load_model_from_string(content)
    tensor = model.graph.initializer[0]
    tensor.raw_data = tensor.raw_data[:-1] + b"\x01"
    assert "its weights are not those of its" in refused(model.SerializeToString(), tmp_path)


def test_the_context_of_a_receipt_is_at_most_that_of_the_file(content, tmp_path) -> None:
    model = onnx.load_model_from_string(content)
    entry = next(each for each in model.metadata_props if each.key == RECEIPT)
    facts = json.loads(entry.value)
    facts["model"]["block_size"] = 2**31 - 1
    entry.value = json.dumps(facts)
    assert "fewer weights than its receipt" in refused(model.SerializeToString(), tmp_path)


def test_files_that_microgpt_has_not_written_are_refused(tmp_path) -> None:
    graph = helper.make_graph([], "other", [], [])
    other = helper.make_model(graph).SerializeToString()
    assert "has no receipt" in refused(other, tmp_path)
    for foreign in (b"GGUF" + bytes(100), b"<!doctype html>", b"{}", bytes(1000), b"\xff" * 99):
        assert "has no receipt" in refused(foreign, tmp_path)


def test_protobuf_does_not_parse_a_hostile_file(content, tmp_path, monkeypatch) -> None:
    for name in ("load_model_from_string", "ModelProto", "StringStringEntryProto"):
        monkeypatch.setattr(onnx, name, None)
    nodes = b"\x0a\x00" * 2**13  # empty nodes
    assert "has no receipt" in refused(b"\x3a\x80\x80\x01" + nodes, tmp_path)
    value = b"\x12\x02{}"  # would be the receipt if what follows it belonged to it
    assert "differs from what this version" in refused(content + value + nodes, tmp_path)
