"""What a training run reads and learns of its documents, with either engine."""

import math
import random
from dataclasses import replace
from functools import partial

import pytest

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig
from microgpt.data.split import Split
from microgpt.engine.training import trainer
from microgpt.errors import DataError

DOCS = ["anna", "emma", "ava", "mia", "isabella"]
CONVERSATIONS = [
    (Message("user", question), Message("assistant", reply))
    for question, reply in (("a", "b"), ("ab", "ba"), ("ba", "a"), ("b", "ab"))
]
SMALL = ModelConfig(n_embd=4, n_head=2, block_size=8)


def test_batches_follow_the_shuffled_order_of_documents(train) -> None:
    """With lr almost 0 the model stays what it is, so each loss tells which documents were read."""
    config = TrainConfig(steps=10, lr=1e-300, long_docs="truncate")
    train = partial(train, model=SMALL, dtype="float64")
    single = train(DOCS, config=config).losses
    pairs = train(DOCS, config=replace(config, steps=5, batch_size=2)).losses
    shuffled = list(DOCS)
    random.Random(42).shuffle(shuffled)
    for i, pair in enumerate(pairs):
        lengths = [len(shuffled[j % 5]) + 1 for j in (2 * i, 2 * i + 1)]
        lengths = [min(length, SMALL.block_size) for length in lengths]
        a, b = single[(2 * i) % 5], single[(2 * i + 1) % 5]
        assert math.isclose(pair, (a * lengths[0] + b * lengths[1]) / sum(lengths), rel_tol=1e-12)


def test_documents_are_read_in_file_order_without_shuffling(train) -> None:
    config = TrainConfig(steps=7, lr=1e-300, shuffle=False, long_docs="truncate")
    losses = train(DOCS, model=SMALL, config=config).losses
    for i in range(5):
        alone = train(DOCS[i:] + DOCS[:i], model=SMALL, config=replace(config, steps=1)).losses
        assert losses[i] == alone[0]
    assert losses[5:] == losses[:2]


def test_only_replies_are_learnt_unless_all_tokens_are_requested(train) -> None:
    one_token = [(Message("user", "aab"), Message("assistant", "c"))]
    for loss_on in ("assistant", "all"):
        config = TrainConfig(steps=100, lr=0.05, loss_on=loss_on)
        result = train(one_token, model=replace(SMALL, block_size=12), config=config)
        user_is_learnt = InferenceGpt(result).evaluate(one_token, loss_on="all").loss < 0.5
        assert user_is_learnt == (loss_on == "all")
        assert InferenceGpt(result).chat(one_token[0][:1]).content == "c"


def test_the_held_out_loss_counts_only_learnt_tokens(train) -> None:
    parts = Split(CONVERSATIONS, CONVERSATIONS[:3], validation=CONVERSATIONS[3:], val_fraction=0.3)
    result = train(parts, model=SMALL, config=TrainConfig(steps=40))
    model = InferenceGpt(result, engine=result.state.engine)
    assert result.val_loss == pytest.approx(model.evaluate(CONVERSATIONS[3:]).loss, rel=1e-5)
    assert result.val_loss != pytest.approx(
        model.evaluate(CONVERSATIONS[3:], loss_on="all").loss, rel=1e-2
    )


def test_conversations_whose_replies_are_all_cut_off_are_refused(train) -> None:
    docs = [(Message("user", "b" * 9), Message("assistant", "a"))]
    with pytest.raises(DataError, match="no assistant reply starts within the context of 8 tokens"):
        train(docs, model=SMALL, config=TrainConfig(steps=2, long_docs="truncate"))
    assert len(train(docs, model=SMALL, config=TrainConfig(steps=2)).losses) == 2


def test_skipping_long_documents_is_refused_if_none_remains(train) -> None:
    config = TrainConfig(steps=2, long_docs="skip")
    with pytest.raises(DataError, match="all documents are longer than the context of 8 tokens"):
        train(["a" * 8], model=SMALL, config=config)
    assert len(train(["a" * 8, "a" * 7], model=SMALL, config=config).losses) == 2


@pytest.mark.parametrize(
    ("config", "docs"),
    [
        (TrainConfig(steps=9), ["ab" * 20, "ba"]),
        (TrainConfig(steps=9, long_docs="truncate"), ["ab" * 20, "ba"]),
        (TrainConfig(steps=9, long_docs="skip"), ["ab" * 20, "ba", "aa"]),
        (TrainConfig(steps=9, text="stream"), ["ab\n" * 20]),
        (TrainConfig(steps=9), [CONVERSATIONS[0] * 4, CONVERSATIONS[1]]),
    ],
    ids=["window", "truncate", "skip", "stream", "conversations"],
)
def test_a_training_run_on_long_documents_resumes_exactly(train, config, docs, monkeypatch) -> None:
    monkeypatch.setattr(trainer, "MAX_STEPS", 1)
    whole = train(docs, model=SMALL, config=config)
    stop = partial(next, iter([False] * 4), True)
    part = train(docs, model=SMALL, config=config, should_stop=stop)
    resumed = train(docs, model=SMALL, config=config, resume=part.state)
    assert [*part.losses, *resumed.losses] == whole.losses
    assert resumed.weights == whole.weights


def test_a_step_in_which_all_replies_are_cut_off_has_no_loss(train) -> None:
    long = (Message("user", "ab" * 4), Message("assistant", "a"))
    config = TrainConfig(steps=4, shuffle=False, long_docs="truncate")
    result = train([long, CONVERSATIONS[0]], model=SMALL, config=config)
    assert [*map(math.isnan, result.losses)] == [True, False, True, False]
    assert result.state.recent_losses == (result.losses[1], result.losses[3])
    assert result.state.train_loss == sum(result.losses[1::2]) / 2
    config = replace(config, steps=2, batch_size=2)
    assert min(train([long, CONVERSATIONS[0]], model=SMALL, config=config).losses) > 0


def test_a_running_text_model_learns_no_end_token(train) -> None:
    """Of a text that is the same everywhere it makes up as much as the context holds."""
    config = TrainConfig(steps=80, lr=0.05, text="stream")
    result = train(["a" * 50], model=SMALL, config=config)
    model = InferenceGpt(result, engine=result.state.engine)
    assert model.generate(3) == ["a" * 8] * 3
    assert model.generate(1, prompt="aa", max_tokens=3) == ["aaaaa"]


def test_conversations_for_fine_tuning_may_be_lists(train) -> None:
    talks = [[*talk] for talk in CONVERSATIONS]
    settings = {"model": replace(SMALL, block_size=12), "config": TrainConfig(steps=1)}
    parent = train(talks, **settings)
    child = train(talks, parent=parent, config=TrainConfig(steps=1))
    assert [*child.documents] == CONVERSATIONS
