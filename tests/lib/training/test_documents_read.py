"""What a training run reads and learns of its documents, with either engine."""

import math
import random
from dataclasses import replace
from functools import partial

import pytest

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig
from microgpt.data.split import Split
from microgpt.errors import DataError

DOCS = ["anna", "emma", "ava", "mia", "isabella"]
CONVERSATIONS = [
    (Message("user", question), Message("assistant", reply))
    for question, reply in (("a", "b"), ("ab", "ba"), ("ba", "a"), ("b", "ab"))
]
SMALL = ModelConfig(n_embd=4, n_head=2, block_size=9)


def test_batches_follow_the_shuffled_order_of_documents(train) -> None:
    """With lr almost 0 the model stays what it is, so each loss tells which documents were read."""
    config = TrainConfig(steps=10, lr=1e-300, dtype="float64")
    train = partial(train, model=SMALL)
    single = train(DOCS, config=config).losses
    pairs = train(DOCS, config=replace(config, steps=5, batch_size=2)).losses
    shuffled = list(DOCS)
    random.Random(42).shuffle(shuffled)
    for i, pair in enumerate(pairs):
        lengths = [len(shuffled[j % 5]) + 1 for j in (2 * i, 2 * i + 1)]
        a, b = single[(2 * i) % 5], single[(2 * i + 1) % 5]
        assert math.isclose(pair, (a * lengths[0] + b * lengths[1]) / sum(lengths), rel_tol=1e-12)


def test_documents_are_read_in_file_order_without_shuffling(train) -> None:
    config = TrainConfig(steps=7, lr=1e-300, shuffle=False)
    losses = train(DOCS, model=SMALL, config=config).losses
    for i in range(5):
        alone = train(DOCS[i:] + DOCS[:i], model=SMALL, config=replace(config, steps=1)).losses
        assert losses[i] == alone[0]
    assert losses[5:] == losses[:2]


def test_only_replies_are_learnt(train) -> None:
    talk = (Message("user", "aab"), Message("assistant", "c"))
    config = TrainConfig(steps=100, lr=0.05)
    result = train([talk], model=replace(SMALL, block_size=12), config=config)
    assert InferenceGpt(result).chat(talk[:1]).content == "c"
    as_dicts = [{"role": one.role, "content": one.content} for one in talk]
    again = train([as_dicts], model=replace(SMALL, block_size=12), config=config)
    assert again.losses == result.losses
    asked = [(Message("user", "c"), Message("assistant", "aab"))]
    assert InferenceGpt(result).evaluate(asked).loss > 1


def test_the_held_out_loss_counts_only_learnt_tokens(train) -> None:
    parts = Split(CONVERSATIONS, CONVERSATIONS[:3], validation=CONVERSATIONS[3:], val_fraction=0.3)
    result = train(parts, model=SMALL, config=TrainConfig(steps=40))
    model = InferenceGpt(result, engine=result.plan.engine)
    assert result.val_loss == pytest.approx(model.evaluate(CONVERSATIONS[3:]).loss, rel=1e-5)


def test_a_step_without_replies_has_no_loss(train) -> None:
    mute = (Message("user", "ab"),)
    config = TrainConfig(steps=4, shuffle=False)
    result = train([mute, CONVERSATIONS[0]], model=SMALL, config=config)
    assert [*map(math.isnan, result.losses)] == [True, False, True, False]
    assert result.state.recent_losses == (result.losses[1], result.losses[3])
    assert result.state.train_loss == sum(result.losses[1::2]) / 2
    config = replace(config, steps=2, batch_size=2)
    assert min(train([mute, CONVERSATIONS[0]], model=SMALL, config=config).losses) > 0
    with pytest.raises(DataError, match="add messages with the role assistant"):
        train([mute], model=SMALL, config=config)


def test_a_running_text_model_learns_no_end_token(train) -> None:
    """Of a text that is the same everywhere it makes up as much as the context holds."""
    config = TrainConfig(steps=80, lr=0.05, text="stream")
    result = train(["a" * 50], model=SMALL, config=config)
    model = InferenceGpt(result, engine=result.plan.engine)
    assert model.generate(3) == ["a" * 9] * 3
    assert model.generate(1, prompt="aa", max_tokens=3) == ["aaaaa"]


def test_conversations_for_fine_tuning_may_be_lists(train) -> None:
    talks = [[*talk] for talk in CONVERSATIONS]
    settings = {"model": replace(SMALL, block_size=12), "config": TrainConfig(steps=1)}
    parent = train(talks, **settings)
    child = train(talks, parent=parent, config=TrainConfig(steps=1))
    assert [*child.documents] == CONVERSATIONS
