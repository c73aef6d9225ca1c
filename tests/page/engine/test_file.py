"""The file of a model: what the engine of the page refuses before it runs a kernel."""

from typing import Any

import pytest

from microgpt import ModelConfig
from microgpt.data.tokenizer import CharTokenizer
from microgpt.errors import CheckpointError
from microgpt.model import weight_shapes
from microgpt.state import TrainedModel
from microgpt.storage.meta import description_of
from microgpt.storage.saved_model import SavedModel
from microgpt_engine.wasm import INFERENCE
from microgpt_page.packed_files import engine_file, model_file

NO_KERNELS = {name: b"no WebAssembly" for name, _ in INFERENCE}
CODE = """
import { Engine } from "./engine.js";
function answer([facts, parts]) {
  const made = Object.entries(parts).map(([name, part]) => [name, Uint8Array.from(part)]);
  new Engine({ ...facts, parts: Object.fromEntries(made) });
}
"""


def saved(value: float = 0.1) -> SavedModel:
    """Return a model all of whose weights are a value."""
    tokenizer = CharTokenizer("ab")
    config = ModelConfig(vocab_size=tokenizer.vocab_size)
    weights = {name: [[value] * n] * m for name, (m, n) in weight_shapes(config).items()}
    meta = description_of(TrainedModel(config, weights, tokenizer, "float32"))
    return SavedModel(config, weights, tokenizer, "float32", meta)


def problems(node, *files: tuple[dict[str, Any], dict[str, bytes]]) -> list[str]:
    inputs = [[facts, {name: list(part) for name, part in parts.items()}] for facts, parts in files]
    return [result["error"] for result in node(CODE, inputs)]


def test_a_browser_without_simd_gets_an_error_with_a_remedy(node) -> None:
    (facts, parts), (engine, kernels) = model_file(saved(), "names"), engine_file(NO_KERNELS)
    assert problems(node, ({**engine, **facts}, {**kernels, **parts})) == [
        "This browser cannot run the model: it has no WebAssembly with SIMD. "
        "Use a current version of Firefox, Chrome, Edge or Safari."
    ]


def test_a_weight_too_large_for_float16_is_refused() -> None:
    with pytest.raises(CheckpointError, match="wte has a weight that is too large for float16"):
        model_file(saved(1e6), "names", "float16")
