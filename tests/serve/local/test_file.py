"""The file of a model: what the local engine refuses before it runs a kernel."""

from dataclasses import replace
from typing import Any

import pytest

from microgpt import InferenceGpt, TrainConfig
from microgpt.engine.wasm import INFERENCE
from microgpt.errors import CheckpointError
from microgpt.training.train import train
from microgpt_serve.local_file import engine_file, model_file
from microgpt_serve.served_model import ServedModel

NO_KERNELS = {name: b"no WebAssembly" for name, _ in INFERENCE}
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


def test_a_browser_without_simd_gets_an_error_with_a_remedy(node, served) -> None:
    (facts, parts), (engine, kernels) = model_file(served), engine_file(NO_KERNELS)
    assert problems(node, ({**engine, **facts}, {**kernels, **parts})) == [
        "This browser cannot run the model: it has no WebAssembly with SIMD. "
        "Use a current version of Firefox, Chrome, Edge or Safari."
    ]


def test_a_weight_too_large_for_float16_is_refused(served) -> None:
    gpt = InferenceGpt(train(["anna"], config=TrainConfig(steps=1)))
    rows = {name: [[1e6] * len(row) for row in rows] for name, rows in gpt.weights.items()}
    gpt._gpt.weights = rows
    with pytest.raises(CheckpointError, match="wte has a weight that is too large for float16"):
        model_file(replace(served, gpt=gpt), dtype="float16")
