from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import ModelConfig, count_params
from microgpt.data.documents import bundled, load_text
from microgpt.data.folding import char_tokenizer
from microgpt.data.split import Split, split, split_stream
from microgpt.data.text_file import TextFile
from microgpt.data.tokenizer import Message
from microgpt.training.choice import (
    MAX_HELD_OUT,
    Choice,
    choose,
    choose_vocabulary,
    held_out_fraction,
    readable,
)

SHAKESPEARE = "\n".join(TextFile(bundled("shakespeare.txt")))
TOWNS = [f"{a}{b}{c}ton" for a in "bdfgklmnpr" for b in "aeiou" for c in ("ll", "mp", "rs", "nt")]
TALK = (Message("user", "a" * 6), Message("assistant", "b" * 6))  # 17 predicted tokens


def chosen(docs: Split | list, budget: float = 1e12, **fixed: Any) -> Choice:
    parts = docs if isinstance(docs, Split) else split(docs)
    text = "lines" if parts.gap is None else "stream"
    tokenizer = char_tokenizer(parts.docs)
    return choose(parts, tokenizer, budget, text=text, given=fixed)


@given(
    st.lists(st.text("ab", min_size=1, max_size=300), min_size=1, max_size=30),
    st.floats(1e8, 1e15),
)
def test_chosen_settings_fit_the_budget_or_give_one_step(docs: list[str], budget: float) -> None:
    choice = chosen(docs, budget)
    assert choice.config.steps == 1 or choice.operations <= budget


def test_a_larger_budget_gives_a_larger_model_up_to_a_limit() -> None:
    text = split_stream(SHAKESPEARE, validation=0.04)
    choices = [chosen(text, budget) for budget in (1e11, 1e12, 1e13, 1e15, 1e16)]
    sizes = [count_params(choice.model) for choice in choices]
    assert sizes[:4] == sorted(set(sizes[:4]))
    assert choices[4].model == choices[3].model
    assert [choice.is_limited for choice in choices] == [False, False, False, True, True]
    assert choices[4].operations < 1e15


def test_a_smaller_data_set_gets_a_higher_dropout_rate() -> None:
    dropouts = [chosen(TOWNS * n, 1e11).config.dropout for n in (1, 10, 1000)]
    assert dropouts == sorted(dropouts, reverse=True)
    assert dropouts[0] > dropouts[1] > dropouts[2] == 0


@pytest.mark.parametrize(("length", "context"), [(3, 16), (15, 16), (16, 32), (40, 64), (999, 256)])
def test_the_chosen_context_grows_with_document_length_up_to_256(length: int, context: int) -> None:
    assert chosen(["b" * length] * 99 + ["c" * 2_000]).model.block_size == context


def test_the_context_of_conversations_includes_role_tokens() -> None:
    assert chosen([TALK]).model.block_size == 32


def test_settings_that_are_given_are_kept_and_others_chosen() -> None:
    fixed = {"n_embd": 24, "n_head": 2, "lr": 0.001, "dropout": 0.5, "steps": 7, "batch_size": 3}
    choice = chosen(TOWNS, **fixed)
    settings = vars(choice.model) | vars(choice.config)
    assert fixed.items() <= settings.items()
    assert choice.model.n_layer == 2
    assert tuned(TOWNS, 1e11, lr=0.001).config.lr == 0.001


@pytest.mark.parametrize(("n_head", "architecture"), [(2, "modern"), (4, "karpathy")])
def test_only_an_odd_head_width_selects_karpathys_architecture(n_head, architecture) -> None:
    assert chosen(TOWNS, n_embd=36, n_head=n_head).model.architecture == architecture


def test_a_larger_budget_gives_more_subwords_but_only_to_prose() -> None:
    sizes = [choose_vocabulary([SHAKESPEARE], budget) for budget in (1e9, 1e11, 1e12, 1e13, 1e15)]
    assert sizes[0] is None
    assert 0 < sizes[1] < sizes[2] < sizes[3] <= sizes[4] <= len(SHAKESPEARE) / 400
    assert choose_vocabulary(load_text(bundled("names.txt")), 1e13) is None
    assert choose_vocabulary([TALK] * 10_000, 1e13) is None


def test_the_chosen_settings_do_not_depend_on_the_test_set() -> None:
    parts = split(TOWNS * 10, validation=0.1, test=0.1)
    other = Split(parts.docs, parts.train, parts.validation, parts.train)
    same = char_tokenizer(TOWNS)
    assert chosen(parts)._replace(tokenizer=same) == chosen(other)._replace(tokenizer=same)


def tuned(docs: list[str], budget: float, **fixed: Any) -> Choice:
    parts, parent = split(docs, validation=0.1), ModelConfig(n_embd=24, block_size=8)
    return choose(parts, char_tokenizer(docs), budget, text="lines", given=fixed, parent=parent)


def test_fine_tuning_keeps_the_shape_of_the_parent() -> None:
    model = tuned(TOWNS, 1e12).model
    assert replace(model, vocab_size=0) == ModelConfig(n_embd=24, block_size=8)
    assert model.vocab_size > 1


def test_fine_tuning_is_limited_to_20_passes_or_200_steps() -> None:
    n_tokens = sum(len(town) + 1 for town in TOWNS)
    choice = tuned(TOWNS, 1e13, batch_size=10)
    assert choice.is_limited
    n_read = choice.config.steps * choice.config.batch_size * n_tokens / len(TOWNS)
    assert n_read == pytest.approx(0.9 * 20 * n_tokens, rel=0.1)
    assert tuned(TOWNS[:20], 1e13).config.steps == pytest.approx(200, rel=0.05)


def test_fine_tuning_uses_its_budget_and_half_the_learning_rate() -> None:
    towns = [f"{town} {i}" for town in TOWNS for i in range(50)]
    for budget in (1e10, 1e11):
        choice = tuned(towns, budget)
        assert 0.9 * budget < choice.operations <= budget
    rule = choose(split(towns, validation=0.1), char_tokenizer(towns), 1e11, text="lines", given={})
    assert choice.config.lr == pytest.approx(rule.config.lr / 2)


def test_a_tenth_of_the_data_is_held_out_up_to_a_maximum() -> None:
    assert held_out_fraction(1_000) == 0.1
    assert held_out_fraction(10**7) == MAX_HELD_OUT / 10**7


def test_a_low_budget_subsamples_only_the_training_set_of_splits(monkeypatch) -> None:
    monkeypatch.setattr("microgpt.training.choice.MIN_READ", 20_000)
    whole = split([f"{i:04}" for i in range(9000)], validation=0.1)
    few = readable(whole, 1e6)
    assert few.train == whole.train[::2] == whole.train[:: few.every]
    assert (few.validation, few.facts) == (whole.validation, whole.facts)
    assert readable(whole, 1e13) is readable(whole, None) is whole
    parts = split_stream("".join(map(chr, range(0x10000, 0x10000 + 90_000))), test=0.1, gap=0)
    pieces = readable(parts, 1e6).train
    assert 15_000 < sum(map(len, pieces)) < 40_000
    assert all(ord(piece[-1]) - ord(piece[0]) < 2**12 for piece in pieces)
    unsplit = split(["anna"] * 9000)
    assert readable(unsplit, 1e6) is unsplit  # without held-out data, nothing is left out
