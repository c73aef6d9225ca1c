from dataclasses import replace

import pytest

from microgpt import BpeTokenizer, Message, ModelConfig, TrainConfig
from microgpt.data.split import split
from microgpt.errors import ConfigError
from microgpt.training.train import train

SMALL = ModelConfig(n_embd=4, n_head=2, block_size=8)
STILL = TrainConfig(steps=1, lr=1e-300)  # the learning rate is too low to change any weight
CONVERSATION = (Message("user", "ho"), Message("assistant", "an"))


def new_tokens(parent, child) -> list[str | bytes]:
    return [name for name in child.tokenizer.names if name not in parent.tokenizer.names]


@pytest.fixture(scope="module")
def parent():
    return train(["anna", "nana"], model=SMALL, config=TrainConfig(steps=20, dtype="float64"))


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_fine_tuning_on_known_characters_starts_from_all_weights(parent, engine) -> None:
    child = train(["nan"], parent=parent, config=replace(STILL, engine=engine, dtype="float64"))
    assert child.weights == parent.weights
    assert child.tokenizer.chars == parent.tokenizer.chars


def test_fine_tuning_gives_new_characters_new_rows_of_weights(parent) -> None:
    child = train(["bank"], parent=parent, config=STILL)
    assert child.tokenizer.chars == ("a", "b", "k", "n")
    assert new_tokens(parent, child) == ["b", "k"]
    for name, rows in child.weights.items():
        old = parent.weights[name]
        if name in ("wte", "lm_head"):
            assert [rows[i] for i in (0, 3, 4)] == list(old)  # the rows of a, n and BOS
            fresh = train(["bank"], model=SMALL, config=replace(STILL, dtype="float64")).weights[
                name
            ]
            assert [rows[i] for i in (1, 2)] == [fresh[i] for i in (1, 2)]
        else:
            assert rows == old


def test_a_text_model_can_be_fine_tuned_to_chat(parent) -> None:
    child = train([CONVERSATION], parent=parent, config=STILL)
    assert new_tokens(parent, child) == ["h", "o", "user", "assistant", "end_turn"]
    assert child.weights["wte"][-1] == parent.weights["wte"][-1]  # BOS keeps its row
    assert child.tokenizer.is_chat


def test_fine_tuning_keeps_the_subwords_of_the_parent() -> None:
    tokenizer = BpeTokenizer.from_documents(["user anna user"] * 2, vocab_size=262)
    assert b"user" in tokenizer.names  # "user" is an ordinary token
    parent = train(["anna"], tokenizer=tokenizer, model=SMALL, config=STILL)
    child = train([CONVERSATION], parent=parent, config=STILL)
    assert child.tokenizer.file == tokenizer.file
    assert new_tokens(parent, child) == ["user", "assistant", "end_turn"]
    assert child.weights["wte"][:261] == parent.weights["wte"][:261]
    assert child.weights["wte"][-1] == parent.weights["wte"][-1]  # BOS keeps its row


WORDS = [a + b + c for a in "nbk" for b in "aeiou" for c in "nbkaeiou"]


def test_a_child_or_student_inherits_an_uncontaminated_split() -> None:
    parts = split(WORDS, validation=0.2, test=0.1)
    first = train(parts, model=SMALL, config=STILL)
    assert (first.plan.contamination, first.plan.ancestor_data) == ({}, ())
    for relatives in ({"parent": first}, {"teachers": [first], "model": SMALL}):
        child = train(WORDS, config=STILL, **relatives)
        assert child.plan.data == parts.facts
        assert child.plan.contamination == {"validation": 0, "test": 0}
        assert "contamination" not in repr(child)


def test_fine_tuning_refuses_data_or_a_shape_that_does_not_suit_the_parent(parent) -> None:
    chat = train([CONVERSATION], parent=parent, config=STILL)
    foreign, wide = ["мир и дом", "\u00a0лес\u3000"], ModelConfig(block_size=8)
    for docs, settings, problem in (
        (["anna"], {"parent": chat}, "a chat model can be fine-tuned only on conversations"),
        (["anna"], {"model": wide}, "n_embd is 16, but the model to fine-tune has 4"),
        (foreign, {}, "the parent knows none of the characters of the text"),
    ):
        with pytest.raises(ConfigError, match=problem):
            train(docs, **{"parent": parent, "config": STILL} | settings)
    assert train([*foreign, "n"], parent=parent, config=STILL)
