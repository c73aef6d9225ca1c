"""Changed models: ablation and single weights, against a scalar model that computes the change."""

from typing import Any

import pytest

from microgpt import InferenceGpt, ModelConfig, TrainConfig
from microgpt.errors import ConfigError
from microgpt.evaluation.edits import Edits, WeightEdit
from microgpt.evaluation.explanation import explain
from microgpt.model import Vector
from microgpt.model_variants import GptVariant
from microgpt.training.train import train

TEXT = "oliviaemma"
VARIANT = ModelConfig(
    n_embd=16, n_head=2, n_layer=2, positions="rotary", token_shift=True, activation="relu2",
    qk_norm=True, final_norm=True,
)  # fmt: skip


@pytest.fixture(scope="module", params=["karpathy", "variant"])
def trained(request):
    shape = VARIANT if request.param == "variant" else ModelConfig(n_embd=8, n_head=2, n_layer=2)
    names = ["anna", "emma", "olivia"]
    return train(names, model=shape, config=TrainConfig(steps=30), dtype="float64")


class AblatedGpt(GptVariant[float]):
    """A scalar model that computes no head 1 of layer 0, and no MLP of layer 1."""

    def attention(self, x: Any, layer: int, cache: Any) -> Vector[float]:
        self.is_first = layer == 0
        return super().attention(x, layer, cache)

    def attention_weights(self, query: Any, keys: Any) -> Vector[float]:
        weights = super().attention_weights(query, keys)
        self.n_heads = getattr(self, "n_heads", 0) + 1
        is_off = self.is_first and self.n_heads % 2 == 0
        return [0.0] * len(weights) if is_off else weights

    def mlp(self, x: Any, layer: int) -> Vector[float]:
        out = super().mlp(x, layer)
        return [0.0] * len(out) if layer == 1 else out


def test_ablated_heads_and_mlps_add_nothing(trained) -> None:
    edits = Edits(without_heads=[(0, 1)], without_mlps=[1])
    gpt = InferenceGpt(trained)
    found = explain(gpt, TEXT, position=3, attention=[(0, 1)], edits=edits)
    scalar = AblatedGpt(trained.model, trained.weights)
    tokens, cache = trained.tokenizer.encode_document(TEXT), scalar.new_cache()
    rows = [scalar.forward(token, cache) for token in tokens[:-1]]
    assert found.activations["logits"] == pytest.approx(rows[3], abs=1e-9)
    assert found.activations["layer1.mlp_output"] == [0.0] * trained.model.n_embd
    assert any(found.activations["layer0.mlp_output"])
    assert found.bits != pytest.approx(explain(gpt, TEXT).bits)


def test_ablating_a_position_leaves_the_token_embedding(trained) -> None:
    gpt, edits = InferenceGpt(trained), Edits(without_positions=[2])
    if not trained.model.n_positions:
        with pytest.raises(ConfigError, match=r"^the model has rotary positions, so it has no we"):
            explain(gpt, TEXT, edits=edits)
        return
    found = explain(gpt, TEXT, position=2, edits=edits)
    token = trained.tokenizer.encode_document(TEXT)[2]
    assert found.activations["embedding"] == pytest.approx(gpt.weights["wte"][token])


def test_edits_of_a_weight_are_applied_in_order(trained) -> None:
    gpt = InferenceGpt(trained)
    edits = Edits(weights=[WeightEdit("wte", 1, 2, 0.5), WeightEdit("wte", 1, 2, factor=-3)])
    changed = gpt.edited(edits)
    assert changed.weights["wte"][1][2] == -1.5
    assert changed.weights["wte"][1][3] == gpt.weights["wte"][1][3] != -1.5
    assert changed.weights["lm_head"] is gpt.weights["lm_head"]
    assert changed.compiled is not gpt.compiled


def test_edits_do_not_change_the_model_and_engines_agree(trained) -> None:
    fast, slow = (InferenceGpt(trained, engine=engine) for engine in ("compiled", "reference"))
    before = explain(fast, TEXT)
    edits = Edits(without_heads=[(1, 0)], weights=[WeightEdit("layer0.mlp_fc1", 3, 1, 2.0)])
    found, other = (explain(gpt, TEXT, edits=edits) for gpt in (fast, slow))
    assert found.bits == pytest.approx(other.bits, abs=1e-9)
    assert explain(fast, TEXT) == before
    assert fast.edited(edits).generate(3, seed=1) == slow.edited(edits).generate(3, seed=1)


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        (Edits(without_heads=[(2, 0)]), "layer must be at most 1"),
        (Edits(without_heads=[(0, 2)]), "head must be at most 1"),
        (Edits(without_mlps=[-1]), "layer must be >= 0, got -1"),
        (Edits(weights=[WeightEdit("wxe", 0, 0)]), "the model has no matrix 'wxe'; it has wte, "),
        (Edits(weights=[WeightEdit("wte", 99, 0)]), "row of wte must be at most "),
        (Edits(weights=[WeightEdit("wte", 0, 99)]), "column of wte must be at most "),
        (Edits(weights=[WeightEdit("wte", 0, 0, 1e39)]), r"wte\[0,0\] must be from -1e\+30 to 1e"),
        (Edits(weights=[WeightEdit("wte", 0, 0, float("nan"))]), r"wte\[0,0\] must be from "),
    ],
)
def test_edits_that_a_model_does_not_allow_are_refused(trained, edits, problem) -> None:
    with pytest.raises(ConfigError, match=f"^{problem}"):
        explain(InferenceGpt(trained), TEXT, edits=edits)
