import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig, load, save
from microgpt.config import default_lr
from microgpt.errors import ConfigError, PromptError
from microgpt.evaluation.edits import Edits, WeightEdit
from microgpt.evaluation.explanation import explain
from microgpt.evaluation.training_step import training_step
from microgpt.model import cross_entropy, weight_shapes
from microgpt.model_variants import GptVariant
from microgpt.muon import MuonEngine
from microgpt.reference import ReferenceEngine
from microgpt.training.train import train
from microgpt.value import Value, total

DOCS = ["anna", "emma", "olivia"]
TEXT, POSITION = "olivia", 3
CHAT = [(Message("user", "hi"), Message("assistant", "yo"))] * 3
SHAPES = {
    "karpathy": ModelConfig(n_embd=8, n_head=2, n_layer=2),
    "variant": ModelConfig(
        n_embd=12, n_head=3, n_layer=2, positions="rotary", token_shift=True, activation="relu2",
        qk_norm=True, final_norm=True,
    ),
    "wide": ModelConfig(n_embd=72, n_head=1, n_layer=1, activation="relu2"),
}  # fmt: skip
CONFIGS = {
    "karpathy": TrainConfig(steps=30),
    "variant": TrainConfig(steps=30, optimizer="muon", weight_decay=0.1, warmup_steps=10),
    "wide": TrainConfig(steps=30, weight_decay=0.1, lr=0.002),
}


@pytest.fixture(scope="module", params=SHAPES)
def trained(request):
    name = request.param
    return train(DOCS, model=SHAPES[name], config=CONFIGS[name], dtype="float64")


@pytest.fixture(scope="module")
def chat():
    shape = ModelConfig(n_embd=8, n_head=2)
    return train(CHAT, model=shape, config=TrainConfig(steps=30), dtype="float64")


class RecordingGpt(GptVariant[Value]):
    """A model that keeps the values of each step, by name, for each token."""

    def new_cache(self) -> Any:
        self.found: dict[str, list[Any]] = {}
        return super().new_cache()

    def keep(self, name: str, values: Any) -> Any:
        self.found.setdefault(name, []).append(values)
        return values

    def embedding(self, token: int, position: int) -> Any:
        return self.keep("embedding", super().embedding(token, position))

    def block(self, x: Any, layer: int, cache: Any) -> Any:
        self.layer = f"layer{layer}."
        self.keep(f"layer{layer - 1}.x" if layer else "x", x)
        return super().block(x, layer, cache)

    def query_or_key(self, x: Any, matrix: str) -> Any:
        return self.keep(matrix, super().query_or_key(x, matrix))

    def attention(self, x: Any, layer: int, cache: Any) -> Any:
        self.keep(self.layer + "attention_input", x)
        out = self.keep(self.layer + "attention_output", super().attention(x, layer, cache))
        self.keep(self.layer + "value", cache[layer][1][-1])
        return out

    def attention_weights(self, query: Any, keys: Any) -> Any:
        return self.keep(self.layer + "attention", super().attention_weights(query, keys))

    def mlp(self, x: Any, layer: int) -> Any:
        return self.keep(self.layer + "mlp_output", super().mlp(x, layer))

    def logits(self, x: Any) -> Any:
        self.keep(f"layer{self.config.n_layer - 1}.x", x)
        return self.keep("logits", super().logits(x))


def reference(trained, tokens, counted=None):
    """Return a reference engine after backward, and the gradients of its activations."""
    config = trained.config
    kind = MuonEngine if config.optimizer == "muon" else ReferenceEngine
    engine = kind(
        trained.model, trained.weights, weight_decay=config.weight_decay, gpt_type=RecordingGpt
    )
    gpt, cache = engine.gpt, None
    reading = RecordingGpt(trained.model, gpt.weights)
    cache = reading.new_cache()
    losses = [
        cross_entropy(reading.forward(token, cache), target) for token, target in pairwise(tokens)
    ]
    counted = counted or [1] * len(losses)
    chosen = [loss for loss, counts in zip(losses, counted, strict=True) if counts]
    ((1 / len(chosen)) * total(chosen)).backward()
    return engine, reading.found


def matrices(engine, numbers):
    """Return flat numbers as matrices by name."""
    found, start = {}, 0
    for name, (rows, columns) in weight_shapes(engine.gpt.config).items():
        part = numbers[start : start + rows * columns]
        found[name] = np.array(part).reshape(rows, columns)
        start += rows * columns
    return found


def test_gradients_equal_those_of_the_reference_engine(trained) -> None:
    gpt, tokens = InferenceGpt(trained), trained.tokenizer.encode_document(TEXT)
    engine, found = reference(trained, tokens)
    step = training_step(gpt, tokens)
    expected = matrices(engine, [param.grad for param in engine.params])
    for name, wanted in expected.items():
        np.testing.assert_allclose(step.gradients.of(name), wanted, atol=1e-12, err_msg=name)
    own = step.gradients.at(POSITION)
    assert list(own) != []
    H = trained.model.n_head
    for name, all_values in found.items():
        shown = name.replace("attn_wq", "query").replace("attn_wk", "key")
        if shown.endswith(".attention"):
            values = [[each.grad for each in row] for row in all_values[POSITION * H :][:H]]
        else:
            values = [each.grad for each in all_values[POSITION]]
        np.testing.assert_allclose(own[shown], values, atol=1e-12, err_msg=shown)


def test_a_step_moves_weights_as_the_reference_engine_does(trained) -> None:
    gpt, tokens = InferenceGpt(trained), trained.tokenizer.encode_document(TEXT)
    engine, _ = reference(trained, tokens)
    before = [param.data for param in engine.params]
    engine.update(trained.config.lr)
    moves = [param.data - number for param, number in zip(engine.params, before, strict=True)]
    step = training_step(gpt, tokens)
    for name, wanted in matrices(engine, moves).items():
        # The direction of Adam is the sign of a gradient, unless it is as small as rounding.
        is_clear = abs(step.gradients.of(name)) > 1e-6
        found = step.moves[name]
        if trained.config.optimizer == "muon" and name.startswith("layer"):
            is_clear[:] = True
        np.testing.assert_allclose(found[is_clear], wanted[is_clear], atol=1e-12, err_msg=name)
    after = explain(gpt, TEXT, edits=Edits(learn=[TEXT]))
    facts = explain(gpt, TEXT, backward=("wte", 0, 0)).backward
    assert facts.bits_after == pytest.approx(after.bits, abs=1e-9)
    assert facts.bits_before == pytest.approx(explain(gpt, TEXT).bits, abs=1e-9)
    assert facts.bits_after < facts.bits_before


def test_the_factors_of_a_weight_multiply_to_its_gradient(trained) -> None:
    gpt = InferenceGpt(trained)
    for name, (rows, columns) in weight_shapes(trained.model).items():
        place = name, rows - 1, columns - 1
        facts = explain(gpt, TEXT, position=-1, backward=place).backward
        weight = facts.weight
        products = math.fsum(x * y for x, y in weight.factors)
        assert weight.gradient == pytest.approx(products, abs=1e-15)
        first_row, first_column = weight.first
        assert weight.gradients[place[1] - first_row][place[2] - first_column] == pytest.approx(
            weight.gradient
        )
        assert weight.moves[place[1] - first_row][place[2] - first_column] == weight.move
        assert len(weight.moves) <= 64
        assert weight.value == trained.weights[name][rows - 1][columns - 1]
    assert facts.matrices.keys() == trained.weights.keys()
    assert list(facts.gradients)[-1] == "embedding"


def test_gradients_equal_finite_differences(trained) -> None:
    gpt, n = InferenceGpt(trained), len(TEXT) + 1
    for name, (rows, columns) in weight_shapes(trained.model).items():
        place = name, rows // 2, columns // 3
        value = trained.weights[name][place[1]][place[2]]
        losses = [
            explain(gpt, TEXT, edits=Edits(weights=[WeightEdit(*place, value=value + step)])).bits
            * math.log(2)
            / n
            for step in (-1e-5, 1e-5)
        ]
        slope = (losses[1] - losses[0]) / 2e-5
        found = explain(gpt, TEXT, backward=place).backward.weight.gradient
        assert found == pytest.approx(slope, abs=1e-7), name


def test_only_the_reply_of_a_conversation_is_learned(chat) -> None:
    gpt, tokenizer = InferenceGpt(chat), chat.tokenizer
    tokens = tokenizer.encode_document(CHAT[0])[:-1]
    step = training_step(gpt, tokens)
    assert bytes(step.counted) == tokenizer.mask(CHAT[0])[1:-1]
    engine, _ = reference(chat, tokens, step.counted)
    for name, wanted in matrices(engine, [param.grad for param in engine.params]).items():
        np.testing.assert_allclose(step.gradients.of(name), wanted, atol=1e-12)
    with pytest.raises(PromptError, match=r"^there is nothing to learn"):
        explain(gpt, "hi", backward=("wte", 0, 0))


def test_impossible_training_steps_are_refused() -> None:
    trained = train(DOCS, model=SHAPES["karpathy"], config=TrainConfig(steps=5))
    gpt = InferenceGpt(trained)
    with pytest.raises(ConfigError, match=r"^the model has no matrix 'wtf'"):
        explain(gpt, "anna", backward=("wtf", 0, 0))
    with pytest.raises(ConfigError, match=r"^row of wte must be at most 8"):
        explain(gpt, "anna", backward=("wte", 9, 0))
    with pytest.raises(PromptError, match=r"^a step takes up to 16 tokens"):
        explain(gpt, "anna", edits=Edits(learn=["anna" * 5]))
    with pytest.raises(ConfigError, match="require the compiled engine"):
        explain(InferenceGpt(trained, engine="reference"), "anna", edits=Edits(learn=["anna"]))


def test_numbers_that_are_not_finite_are_refused() -> None:
    gpt = InferenceGpt(train(DOCS, model=SHAPES["karpathy"], config=CONFIGS["karpathy"]))
    edits = Edits(weights=[WeightEdit("wte", i, 0, 1e30) for i in range(9)])
    for options in ({"backward": ("wte", 0, 0)}, {"position": 1}):
        with pytest.raises(PromptError, match="not finite"):
            explain(gpt, TEXT, edits=edits, **options)


@pytest.mark.parametrize(
    "training", [{"optimizer": "lion"}, {"lr": "fast"}, {"weight_decay": [1]}, {"text": "verse"}]
)
def test_unknown_recorded_settings_are_replaced_by_defaults(tmp_path, training) -> None:
    save(train(DOCS, model=SHAPES["karpathy"], config=CONFIGS["karpathy"]), tmp_path / "model")
    facts = json.loads((tmp_path / "model/meta.json").read_text())
    facts["training"] |= training
    (tmp_path / "model/meta.json").write_text(json.dumps(facts))
    saved = load(tmp_path / "model")
    (name,) = training
    assert getattr(saved.config, name) in (getattr(TrainConfig(), name), default_lr(8))
    assert explain(InferenceGpt(saved), TEXT, backward=("wte", 0, 0)).backward
