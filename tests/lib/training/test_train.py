import math
import random
from array import array
from dataclasses import asdict, replace
from functools import partial

import pytest
from training_states import StatesEvery
from trainings import talks

from microgpt import InferenceGpt, Message, ModelConfig, TrainConfig, load_text
from microgpt.data.split import Split, split
from microgpt.errors import ConfigError
from microgpt.learning_rate import default_lr
from microgpt.training import loop
from microgpt.training.hooks import OnEvent, StopWhen
from microgpt.training.loop import DivergedError
from microgpt.training.train import train as train_model
from microgpt_engine import trainer as compiled

DOCS = ["anna", "emma", "ava", "mia", "isabella"]
CONVERSATIONS = talks([("a", "b"), ("ab", "ba"), ("ba", "a"), ("b", "ab")])
SMALL = ModelConfig(n_embd=4, n_head=2, block_size=9)


def test_training_events_cover_each_step_once_in_order(train) -> None:
    events = []
    config = TrainConfig(steps=20, batch_size=2)
    result = train(DOCS, model=SMALL, config=config, hooks=[OnEvent(events.append)])
    assert [loss for event in events for loss in event.losses] == list(result.losses)
    assert len(result.losses) == 20
    assert [event.step for event in events] == sorted({event.step for event in events})
    assert events[-1].step == 20
    assert all(event.steps == 20 for event in events)


REGULARISED = {"dropout": 0.2, "weight_decay": 0.1}


@pytest.mark.parametrize("settings", [{}, REGULARISED], ids=["plain", "regularised"])
@pytest.mark.parametrize("docs", [DOCS, CONVERSATIONS], ids=["texts", "conversations"])
def test_a_resumed_training_run_gives_the_same_result(train, docs, settings, monkeypatch) -> None:
    monkeypatch.setattr(compiled, "MAX_STEPS", 1)  # one step per kernel call
    config = TrainConfig(steps=10, batch_size=2, **settings)
    whole = train(docs, model=SMALL, config=config)
    for stop_at in (0, 1, 7, 10):
        answers = iter([False] * stop_at)
        stop = partial(next, answers, True)
        part = train(docs, model=SMALL, config=config, hooks=[StopWhen(stop)])
        assert part.state.step == stop_at
        resumed = train(docs, model=SMALL, config=config, resume=part.state)
        assert resumed.weights == whole.weights
        assert [*part.losses, *resumed.losses] == whole.losses
        assert resumed.state.recent_losses == whole.state.recent_losses
        assert resumed.state.history == whole.state.history
        assert resumed.rng().random() == whole.rng().random()


def test_train_chooses_only_settings_that_are_not_given() -> None:
    docs, config = ["a" * 30], TrainConfig(steps=1)
    chosen = train_model(docs, config=config)
    assert chosen.model.block_size == 32
    found = chosen.config
    assert found == replace(config, lr=found.lr, engine="compiled", dtype="float32")
    parent = train_model(docs, config=config, model=ModelConfig())
    assert parent.model.block_size == 16
    child = train_model(docs, config=config, parent=parent)
    assert child.model.block_size == 16


def test_training_on_karpathys_names_uses_his_settings() -> None:
    result = train_model(load_text("data/names.txt"), hooks=[StopWhen(lambda: True)])
    assert result.model == ModelConfig(vocab_size=27)
    assert result.config == TrainConfig(lr=0.01, engine="compiled", dtype="float32")


def test_the_learning_rate_decreases_with_width_unless_given() -> None:
    assert [default_lr(n) for n in (8, 16, 32, 160)] == [0.01, 0.01, 0.005, 0.001]
    wide = ModelConfig(n_embd=32)
    assert train_model(["ab"], model=wide, config=TrainConfig(steps=1)).config.lr == 0.005
    assert train_model(["ab"], model=wide, config=TrainConfig(steps=1, lr=0.02)).config.lr == 0.02


def test_resuming_with_other_documents_or_parent_is_refused() -> None:
    parent = train_model(DOCS, model=SMALL, config=TrainConfig(steps=4))
    for before, after in (
        ({"docs": DOCS}, {"docs": DOCS[::-1]}),
        ({"docs": DOCS, "parent": parent}, {"docs": DOCS}),
        ({"docs": DOCS}, {"docs": split(DOCS, validation=0.5)}),
    ):
        state = train_model(**before, model=SMALL, config=TrainConfig(steps=9, until=4)).state
        with pytest.raises(ConfigError, match=r"has other documents, .*; pass those of its run"):
            train_model(**after, model=SMALL, config=TrainConfig(steps=9), resume=state)


def test_a_custom_hook_is_called_at_the_steps_that_it_requests(train) -> None:
    kept = StatesEvery(3)
    hooks = [kept, StopWhen(lambda: len(kept.states) == 5)]
    result = train(DOCS, model=SMALL, config=TrainConfig(steps=1000), hooks=hooks)
    assert [state.step for state in kept.states] == [0, 3, 6, 9, 12]
    assert (result.ending, result.state.step) == ("stopped", 12)


@pytest.mark.parametrize("until", [1, 4, 9])
def test_a_run_can_stop_before_the_end_of_its_schedule_and_be_resumed(train, until) -> None:
    parts = Split(DOCS, DOCS[1:], DOCS[:1], DOCS[:1])
    config = TrainConfig(steps=10, evaluations=3, **REGULARISED)
    whole = train(parts, model=SMALL, config=config)
    part = train(parts, model=SMALL, config=replace(config, until=until))
    assert (part.ending, part.state.step) == ("until", until)
    assert part.test_loss is not None
    resumed = train(parts, model=SMALL, config=replace(config, until=99), resume=part.state)
    assert (resumed.ending, resumed.weights) == ("steps", whole.weights)
    assert [*part.losses, *resumed.losses] == whole.losses
    assert resumed.state.history == whole.state.history


@pytest.mark.parametrize("threads", [1, 2])
def test_stopping_during_a_step_does_not_change_the_result(threads, monkeypatch) -> None:
    n_read, work = 0, compiled.CompiledTraining._work

    def counted(*args, **options):
        nonlocal n_read
        result = work(*args, **options)
        n_read += result
        return result

    monkeypatch.setattr(compiled, "RUN_S", 0.001)
    monkeypatch.setattr(compiled.CompiledTraining, "_work", counted)
    config = TrainConfig(steps=3, batch_size=20_000, dropout=0.1, engine="compiled")
    options = {"model": SMALL, "config": config, "threads": threads}
    whole = train_model(DOCS, **options)
    n_batch, n_read = n_read // 4, 0  # n_read counts three steps and the final evaluation
    part = train_model(DOCS, **options, hooks=[StopWhen(lambda: n_read > 1.2 * n_batch)])
    assert (part.ending, part.state.step) == ("stopped", 1)
    assert n_read < 1.7 * n_batch
    resumed = train_model(DOCS, **options, resume=part.state)
    assert [*part.losses, *resumed.losses] == whole.losses
    assert resumed.weights == whole.weights


def test_resuming_with_another_shape_or_too_few_steps_is_refused(train) -> None:
    state = train(DOCS, model=SMALL, config=TrainConfig(steps=5)).state
    with pytest.raises(
        ConfigError, match=r"the checkpoint, which has dtype .* or another shape; use those"
    ):
        train(DOCS, config=TrainConfig(steps=9), resume=state)
    with pytest.raises(ConfigError, match="steps must be >= 5, the step of the checkpoint, got 3"):
        train(DOCS, model=SMALL, config=TrainConfig(steps=3), resume=state)


def test_a_resumed_run_keeps_its_dtype_and_refuses_another() -> None:
    options = {"model": SMALL, "config": TrainConfig(steps=9)}
    state = train_model(DOCS, model=SMALL, config=TrainConfig(steps=5, dtype="float64")).state
    assert train_model(DOCS, **options, resume=state).state.dtype == "float64"
    rounded, reference = TrainConfig(steps=9, dtype="float32"), TrainConfig(engine="reference")
    with pytest.raises(ConfigError, match="has dtype float64 or another shape; use those"):
        train_model(DOCS, model=SMALL, config=rounded, resume=state)
    single = train_model(DOCS, model=SMALL, config=TrainConfig(steps=5)).state
    with pytest.raises(ConfigError, match="the reference engine supports only float64"):
        train_model(DOCS, model=SMALL, config=reference, resume=single)


def test_a_diverging_run_reports_its_losses_before_it_ends(train) -> None:
    events, config = [], TrainConfig(steps=5, lr=1e200)
    problem = r"infinite at step 2 of 5; try .* below 1e\+200"
    with pytest.raises(DivergedError, match=problem):
        train(DOCS, model=SMALL, config=config, hooks=[OnEvent(events.append)])
    losses = [loss for event in events for loss in event.losses]
    assert len(losses) == 1
    assert math.isfinite(losses[0])


def test_a_divergence_in_the_last_update_of_a_run_is_detected(train) -> None:
    with pytest.raises(DivergedError, match="nan or infinite after step 1 of 1; try"):
        train(DOCS, model=SMALL, config=TrainConfig(steps=1, lr=1e200))


def test_a_divergence_is_detected_in_a_resumed_run(train) -> None:
    state = train(DOCS, model=SMALL, config=TrainConfig(steps=3)).state
    ruined = replace(state, weights=array("d", [1e200] * len(state.weights)))
    with pytest.raises(DivergedError, match="at step 4 of 9"):
        train(DOCS, model=SMALL, config=TrainConfig(steps=9), resume=ruined)


def test_integer_settings_give_the_same_losses_as_equal_floats() -> None:
    """Kernels are compiled for argument types, so one for integers must not get floats."""
    train_model(DOCS, model=SMALL, config=TrainConfig(steps=2, beta1=0, beta2=0, adam_eps=1, lr=1))
    losses = [
        train_model(DOCS, model=SMALL, config=TrainConfig(steps=5, beta1=beta1)).losses
        for beta1 in (0, 0.0)
    ]
    assert losses[0] == losses[1]


def test_the_seed_sets_the_model_but_not_the_global_random_state(train) -> None:
    before = random.getstate()
    configs = [TrainConfig(steps=8, seed=seed) for seed in (5, 5, 6)]
    first, same, other = (train(DOCS, model=SMALL, config=each).weights for each in configs)
    assert first == same != other
    assert random.getstate() == before


def test_training_events_are_not_sent_more_often_than_the_interval(monkeypatch) -> None:
    events = []
    monkeypatch.setattr(compiled, "MAX_STEPS", 1)  # one step per kernel call
    monkeypatch.setattr(loop, "EVENT_INTERVAL_S", 1e9)
    train_model(DOCS, model=SMALL, config=TrainConfig(steps=60), hooks=[OnEvent(events.append)])
    assert [event.step for event in events] == [60]


def test_batches_follow_the_shuffled_order_of_documents(train) -> None:
    """With a learning rate of almost 0, each loss identifies the documents that were used."""
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


def test_documents_are_used_in_the_given_order_without_shuffling(train) -> None:
    config = TrainConfig(steps=7, lr=1e-300, shuffle=False)
    losses = train(DOCS, model=SMALL, config=config).losses
    for i in range(5):
        alone = train(DOCS[i:] + DOCS[:i], model=SMALL, config=replace(config, steps=1)).losses
        assert losses[i] == alone[0]
    assert losses[5:] == losses[:2]


def test_a_chat_model_learns_only_the_replies(train) -> None:
    talk = (Message("user", "aab"), Message("assistant", "c"))
    config = TrainConfig(steps=100, lr=0.05)
    result = train([talk], model=replace(SMALL, block_size=12), config=config)
    assert InferenceGpt(result).chat(talk[:1]).content == "c"
    asked = [(Message("user", "c"), Message("assistant", "aab"))]
    assert InferenceGpt(result).evaluate(asked).loss > 1


def test_the_held_out_loss_of_conversations_equals_the_one_from_evaluate(train) -> None:
    parts = Split(CONVERSATIONS, CONVERSATIONS[:3], validation=CONVERSATIONS[3:], val_fraction=0.3)
    result = train(parts, model=SMALL, config=TrainConfig(steps=40))
    model = InferenceGpt(result, engine=result.plan.engine)
    assert result.val_loss == pytest.approx(model.evaluate(CONVERSATIONS[3:]).loss, rel=1e-5)


def test_a_running_text_model_learns_no_end_token(train) -> None:
    """A model trained on the text "aaa…" generates text until the context is full."""
    result = train(["a" * 50], model=SMALL, config=TrainConfig(steps=80, lr=0.05, text="stream"))
    model = InferenceGpt(result, engine=result.plan.engine)
    assert model.generate(3) == ["a" * 9] * 3
    assert model.generate(1, prompt="aa", max_tokens=3) == ["aaaaa"]


def test_train_accepts_conversations_of_messages_or_dicts(train) -> None:
    talks = [[asdict(talk[0]), *talk[1:]] for talk in CONVERSATIONS]
    settings = {"model": replace(SMALL, block_size=12), "config": TrainConfig(steps=1)}
    parent = train(talks, **settings)
    child = train(talks, parent=parent, config=TrainConfig(steps=1))
    assert [*child.documents] == CONVERSATIONS
