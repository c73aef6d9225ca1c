"""The file of a model to train, in JavaScript."""

from dataclasses import asdict

from microgpt import ModelConfig
from microgpt_page.packed_files import engine_file

CODE = """
import { CharTokenizer } from "./tokenizer.js";
import { untrained } from "./untrained_model.js";
function answer([facts, given]) {
  const file = { ...facts, parts: {} };
  const { model } = untrained(file, given, new CharTokenizer("ab", false), "lines");
  return Object.fromEntries(Object.keys(facts.defaults.model).map((name) => [name, model[name]]));
}
"""


def test_a_model_to_train_has_the_shape_of_python(node) -> None:
    facts, _ = engine_file({})
    shapes = [{}, {"n_embd": 48, "n_layer": 3}]
    expected = [asdict(ModelConfig(**shape, vocab_size=3)) for shape in shapes]
    assert node(CODE, [[facts, shape] for shape in shapes]) == expected


def test_a_model_too_large_for_a_page_is_refused(node) -> None:
    facts, _ = engine_file({})
    (found,) = node(CODE, [[facts, {"n_embd": 10_000}]])
    assert found["error"].startswith("the model is too large for a page: it has 1,200,220,000 wei")
