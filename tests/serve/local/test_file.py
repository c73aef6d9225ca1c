"""The file of a model: what the local engine refuses before it runs a kernel."""

from dataclasses import replace
from typing import Any

import pytest

from microgpt import InferenceGpt, TrainConfig
from microgpt.errors import CheckpointError
from microgpt.training.train import train
from microgpt_serve.local_file import KERNELS, local_file
from microgpt_serve.served_model import ServedModel

NO_KERNELS = dict.fromkeys(KERNELS, b"no WebAssembly")
CODE = """
import { LocalEngine } from "./engine.js";
function answer([facts, parts]) {
  const made = Object.entries(parts).map(([name, part]) => [name, Uint8Array.from(part)]);
  new LocalEngine({ ...facts, parts: Object.fromEntries(made) });
}
"""


@pytest.fixture(scope="module")
def served() -> ServedModel:
    gpt = InferenceGpt(train(["anna", "emma"], config=TrainConfig(steps=1)))
    return ServedModel("names", "0", gpt, None)


def problems(node, *files: tuple[dict[str, Any], dict[str, bytes]]) -> list[str]:
    inputs = [[facts, {name: list(part) for name, part in parts.items()}] for facts, parts in files]
    return [result["error"] for result in node(CODE, inputs)]


def test_a_damaged_file_is_refused(node, served) -> None:
    facts, parts = local_file(served, NO_KERNELS)
    weights = parts["weights"]
    half, half_parts = local_file(served, NO_KERNELS, dtype="float16")
    fewer = {**facts["model"], "characters": "ab"}
    found = problems(
        node,
        (facts, {**parts, "weights": weights[:-4]}),
        (facts, {name: part for name, part in parts.items() if name != "decode"}),
        ({**half, "dtype": "float32"}, half_parts),
        ({**facts, "format": 2}, parts),
        ({**facts, "model": fewer}, parts),
    )
    begins, ends = "This file is damaged: ", ". Ask for another copy of it."
    assert all(each.startswith(begins) and each.endswith(ends) for each in found)
    assert [each[len(begins) : -len(ends)] for each in found] == [
        f"its part “weights” has {len(weights) - 4} bytes, not {len(weights)}",
        "its part “decode” has 0 bytes, not 14",
        "its weights are not those of its model",
        "its format is 2, not 1",
        "its vocabulary is incomplete",
    ]


def test_a_browser_without_simd_is_named(node, served) -> None:
    facts, parts = local_file(served, NO_KERNELS)
    assert problems(node, (facts, parts)) == [
        "This browser cannot run the model: it has no WebAssembly with SIMD. "
        "Use a current version of Firefox, Chrome, Edge or Safari."
    ]


def test_a_weight_too_large_for_float16_is_refused(served) -> None:
    gpt = InferenceGpt(train(["anna"], config=TrainConfig(steps=1)))
    rows = {name: [[1e6] * len(row) for row in rows] for name, rows in gpt.weights.items()}
    gpt._gpt.weights = rows
    with pytest.raises(CheckpointError, match="wte has a weight that is too large for float16"):
        local_file(replace(served, gpt=gpt), NO_KERNELS, dtype="float16")
