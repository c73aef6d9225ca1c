import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import BpeTokenizer, FoldingTokenizer, InferenceGpt, ModelConfig, TrainConfig
from microgpt.errors import PromptError
from microgpt.evaluation.explanation import explain
from microgpt.evaluation.scoring import UNKNOWN_BITS, Scorer
from microgpt.training.train import train

DOCS = ["anna", "emma", "olivia", "ñu 🚀"]
CONFIG = TrainConfig(steps=30)
SHAPE = ModelConfig(n_embd=8, n_head=2, block_size=8)
SUBWORDS = BpeTokenizer.from_documents(DOCS * 3, 270)
MODELS = {
    name: train(DOCS, model=SHAPE, config=replace(CONFIG, dtype="float64"), tokenizer=tokenizer)
    for name, tokenizer in {"char": None, "bpe": SUBWORDS}.items()
}


@pytest.fixture(params=MODELS)
def gpt(request) -> InferenceGpt:
    return InferenceGpt(MODELS[request.param])


@given(texts=st.lists(st.text("anemolivñu 🚀", max_size=30), min_size=1, max_size=6))
@pytest.mark.parametrize("text", ["lines", "stream"])
@pytest.mark.parametrize("kind", MODELS)
def test_the_scores_add_up_to_the_evaluated_loss(kind, text, texts) -> None:
    gpt = InferenceGpt(MODELS[kind])
    scores = Scorer(gpt, text=text).score(texts)
    assert [score.text for score in scores] == texts
    assert [score.n_unknown for score in scores] == [0] * len(texts)
    if not any(score.n_scored for score in scores):
        return
    result = gpt.evaluate(texts, text=text)
    assert sum(score.n_scored for score in scores) == result.n_characters
    total = result.loss * result.n_tokens / math.log(2)
    assert math.fsum(score.bits for score in scores) == pytest.approx(total)
    for score in scores:
        explanation = explain(gpt, score.text, n_alternatives=0, text_kind=text)
        assert score.bits == pytest.approx(explanation.bits)
        end = explanation.predictions[-1].bits if text == "lines" else 0
        assert score.character_bits.sum() == pytest.approx(score.bits - end)
        assert score.character_bits.size == len(score.text)


def test_a_subword_divides_its_bits_among_its_characters() -> None:
    gpt = InferenceGpt(MODELS["bpe"])
    (score,) = Scorer(gpt).score(["annañ🚀"])
    wanted: list[float] = []  # of bytes
    for each in explain(gpt, score.text).predictions[:-1]:
        n = len(gpt.tokenizer.names[each.token])
        wanted += [each.bits / n] * n
    ends = np.cumsum([0, 1, 1, 1, 1, 2, 4])
    assert score.character_bits == pytest.approx(np.add.reduceat(wanted, ends[:-1]))


def test_both_engines_give_the_same_scores(gpt) -> None:
    slow = InferenceGpt(MODELS[gpt.tokenizer.kind], engine="reference")
    texts = ["anna", "", "olivia anna emma"]
    for fast, other in zip(Scorer(gpt).score(texts), Scorer(slow).score(texts), strict=True):
        assert fast.bits == pytest.approx(other.bits, abs=1e-9)
        assert fast.character_bits == pytest.approx(other.character_bits, abs=1e-9)


def test_unknown_characters_have_a_fixed_cost() -> None:
    scorer = Scorer(InferenceGpt(MODELS["char"]))
    known, some, none, empty = scorer.score(["anna", "aXnn\ud800a", "X", ""])
    assert [each.n_unknown for each in (known, some, none, empty)] == [0, 2, 1, 0]
    assert some.bits == pytest.approx(known.bits + 2 * UNKNOWN_BITS)
    assert some.character_bits[[1, 4]].tolist() == [UNKNOWN_BITS] * 2
    assert none.bits == pytest.approx(empty.bits + UNKNOWN_BITS)
    assert some.bits_per_character == pytest.approx(some.bits / 7)
    assert scorer.score([]) == []


def test_a_folded_character_gets_the_bits_of_its_token() -> None:
    tokenizer = FoldingTokenizer.from_documents(["jorg", "strasse"])
    docs = ["jorg", "strasse"]
    gpt = InferenceGpt(train(docs, model=SHAPE, config=CONFIG, tokenizer=tokenizer))
    scores = Scorer(gpt).score(["Jo\u0308rg", "Straße", "JX"])
    j, o, r, g, end = (each.bits for each in explain(gpt, "jorg").predictions)
    assert scores[0].character_bits == pytest.approx([j, o, 0, r, g])  # 0: the diaeresis
    assert scores[0].bits == pytest.approx(j + o + r + g + end)
    *stra, first, second, e, _ = (each.bits for each in explain(gpt, "strasse").predictions)
    assert scores[1].character_bits == pytest.approx([*stra, first + second, e])
    assert scores[2].character_bits == pytest.approx([j, UNKNOWN_BITS])
    assert [score.n_unknown for score in scores] == [0, 0, 1]


def test_a_lone_surrogate_is_unknown_to_a_subword_model() -> None:
    known, some = Scorer(InferenceGpt(MODELS["bpe"])).score(["anna", "an\udcffna"])
    assert (some.n_unknown, some.character_bits[2]) == (1, UNKNOWN_BITS)
    assert some.bits == pytest.approx(known.bits + UNKNOWN_BITS)


def test_a_model_whose_weights_are_too_large_is_refused() -> None:
    model = MODELS["char"]
    weights = model.weights | {"lm_head": [[1e308] * 8 for _ in model.weights["lm_head"]]}
    with pytest.raises(PromptError, match="the logits are not finite"):
        Scorer(InferenceGpt(replace(model, weights=weights))).score(["anna"])
