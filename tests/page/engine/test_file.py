"""Tests that an invalid model file is refused before a kernel runs."""

from dataclasses import replace

import pytest

from microgpt import load
from microgpt.errors import CheckpointError
from microgpt_engine.wasm import INFERENCE
from microgpt_page.packed_files import engine_file, model_file

CODE = """
import { Engine } from "./engine.js";
function answer([facts, parts]) {
  const made = Object.entries(parts).map(([name, part]) => [name, Uint8Array.from(part)]);
  new Engine({ ...facts, parts: Object.fromEntries(made) });
}
"""


def test_a_browser_without_simd_gets_an_error_with_a_remedy(node, names_dir) -> None:
    facts, parts = model_file(load(names_dir), "names")
    engine, kernels = engine_file({name: b"no WebAssembly" for name, _ in INFERENCE})
    content = {name: list(part) for name, part in {**kernels, **parts}.items()}
    (found,) = node(CODE, [[{**engine, **facts}, content]])
    assert "no WebAssembly with SIMD. Use a current version of Firefox" in found["error"]


def test_a_weight_too_large_for_float16_is_refused(names_dir) -> None:
    saved = load(names_dir)
    large = replace(saved, weights={**saved.weights, "wte": [[1e6] * saved.model.n_embd] * 27})
    with pytest.raises(CheckpointError, match="wte has a weight that is too large for float16"):
        model_file(large, "names", "float16")
