"""Settings of a training in JavaScript: refused as in Python."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from javascript import answer_of

from microgpt import ModelConfig, TrainConfig
from microgpt.model_variants import angles
from microgpt_serve.local_file import engine_file

CODE = """
import { configOf, untrained } from "./config.js";
import { CharTokenizer } from "./tokenizer.js";
function answer([facts, kind, given]) {
  const file = { ...facts, parts: {} };
  if (kind === "config") return configOf(file, given);
  const { model, rates } = untrained(file, given, new CharTokenizer("ab", false), "lines");
  const shape = Object.keys(facts.defaults.model).map((name) => [name, model[name]]);
  return { ...Object.fromEntries(shape), rates };
}
"""


def test_javascript_accepts_the_same_settings_as_python(node) -> None:
    facts, _ = engine_file({})
    shapes: list[dict[str, Any]] = [
        {}, {"n_embd": 48, "n_layer": 3}, {"n_embd": 0}, {"n_embd": 1.5}, {"n_head": 3},
        {"n_embd": 6, "n_head": 4}, {"n_embd": 10, "n_head": 4}, {"n_layer": 2**31},
        {"block_size": -1}, {"n_embd": 12, "positions": "rotary"},
    ]  # fmt: skip
    configs: list[dict[str, Any]] = [
        {}, {"steps": 5, "lr": 0.5}, {"steps": 0}, {"batch_size": 2.5}, {"lr": 0}, {"lr": -1},
        {"steps": 2**31}, {"seed": -1}, {"seed": 2**53 - 1}, {"seed": 0.5},
    ]  # fmt: skip

    def made(kind: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
        return asdict(kind(**given))

    inputs = [[facts, "model", shape] for shape in shapes]
    inputs += [[facts, "config", config] for config in configs]
    expected = [answer_of(made, ModelConfig, {**shape, "vocab_size": 3}) for shape in shapes]
    expected += [answer_of(made, TrainConfig, config) for config in configs]
    found = node(CODE, inputs)
    for each in found:
        each.pop("rates", None)
    assert found == expected
    assert sum("error" in each for each in found) == 15


def test_a_model_too_large_for_a_page_is_refused(node) -> None:
    facts, _ = engine_file({})
    (found,) = node(CODE, [[facts, "model", {"n_embd": 10_000}]])
    assert found["error"].startswith("the model is too large for a page: it has 1,200,220,000 wei")


def test_rotation_rates_equal_those_of_python(node) -> None:
    facts, _ = engine_file({})
    shape = {"n_embd": 96, "n_head": 2, "positions": "rotary"}
    (found,) = node(CODE, [[facts, "model", shape]])
    assert found["rates"] == pytest.approx(angles(ModelConfig(**shape), 1), rel=1e-15)
