from functools import partial

import pytest

import microgpt
from microgpt import InferenceGpt, ModelConfig, TrainConfig, load, save
from microgpt.data.split import split
from microgpt.training.hooks import OnEvent, StopWhen

DOCS = [a + b + c + d for a in "aei" for b in "mnr" for c in "aeo" for d in ["", "l", "nn"]]
PARTS = split(DOCS, validation=0.2, test=0.2)
SMALL = ModelConfig(n_embd=4, n_head=2, block_size=8)


@pytest.fixture
def train(train):
    """A function that trains a small model; tests run once with each of the two engines."""
    return partial(train, model=SMALL)


def held_out_losses(result) -> dict[int, float]:
    return {point.step: point.val_loss for point in result.state.history if point.val_loss}


def test_training_returns_the_best_weights_of_twenty_evaluations(train) -> None:
    result = train(PARTS, config=TrainConfig(steps=60, lr=0.1))
    losses = held_out_losses(result)
    assert list(losses) == list(range(3, 61, 3))
    assert len(losses) == TrainConfig.evaluations
    best = result.state.best
    assert (best.step, best.val_loss) == min(
        ((step, loss) for step, loss in losses.items()), key=lambda pair: pair[1]
    )
    assert best.step < 60, "this training should learn by heart in the end"
    evaluation = InferenceGpt(result, engine=result.plan.engine).evaluate(PARTS.validation)
    assert evaluation.loss == pytest.approx(best.val_loss, rel=1e-7)
    assert result.val_loss == best.val_loss


def test_an_evaluation_reports_the_fraction_of_its_text_used_in_training(tmp_path) -> None:
    result = microgpt.train(PARTS, model=SMALL, config=TrainConfig(steps=2))
    save(result, tmp_path / "model")
    for model in map(InferenceGpt, (result, load(tmp_path / "model"))):
        found = model.evaluate(iter(PARTS.docs))
        assert found.contamination == len(PARTS.train) / len(PARTS.docs)
        assert f"contamination={found.contamination}" in repr(found)
    assert model.evaluate(PARTS.test).contamination is None
    assert InferenceGpt(result).evaluate(PARTS.test).contamination == 0
    assert InferenceGpt(result).evaluate(PARTS.train[:3]).contamination == 1


@pytest.mark.compiled
def test_part_of_running_text_counts_as_trained_on_but_part_of_a_line_does_not() -> None:
    docs = [text := " ".join(PARTS.train)]
    stream = InferenceGpt(microgpt.train(docs, config=TrainConfig(steps=1, text="stream")))
    lines = InferenceGpt(microgpt.train(docs, config=TrainConfig(steps=1)))
    docs.clear()  # the result keeps a copy
    assert stream.evaluate([text[:200], text[200:300]], text="stream").contamination == 1
    assert stream.evaluate([text[:10]]).contamination == 1
    assert lines.evaluate([text[:10]]).contamination == 0
    assert lines.evaluate([text]).contamination == 1


def test_patience_is_refused_without_validation_documents() -> None:
    with pytest.raises(microgpt.ConfigError, match="patience requires"):
        microgpt.train(["anna", "emma"], config=TrainConfig(steps=2, patience=3))


def test_patience_ends_a_run_and_more_patience_continues_it(train) -> None:
    config = TrainConfig(steps=200, lr=0.1, patience=2)
    result = train(PARTS, config=config)
    assert result.ending == "patience"
    assert result.state.step == result.state.best.step + 2 * config.steps_between_evaluations
    assert result.test_loss is not None
    patient = train(PARTS, config=TrainConfig(steps=200, lr=0.1, patience=3), resume=result.state)
    assert patient.state.step >= result.state.step + config.steps_between_evaluations


def test_stopping_during_an_evaluation_does_not_change_the_result(train) -> None:
    is_slow = "reference" in train.args
    config = TrainConfig(steps=10 if is_slow else 20)
    whole = train(PARTS, config=config)
    # Only the faster engine is stopped at every place, because both engines run in the same loop.
    for stop_at in (1, 5) if is_slow else range(12):
        answers = iter([False] * stop_at)
        part = train(PARTS, config=config, hooks=[StopWhen(lambda it=answers: next(it, True))])
        resumed = train(PARTS, config=config, resume=part.state)
        assert resumed.weights == whole.weights
        assert held_out_losses(resumed) == held_out_losses(whole)
        assert resumed.test_loss == whole.test_loss


def test_training_events_report_each_held_out_loss_once(train) -> None:
    events = []
    result = train(PARTS, config=TrainConfig(steps=40), hooks=[OnEvent(events.append)])
    told = [(event.step, event.val_loss) for event in events if event.val_loss is not None]
    assert told == [*held_out_losses(result).items()]


def test_held_out_documents_are_not_trained_on(train) -> None:
    config = TrainConfig(steps=20)
    alone = train(PARTS.train, config=config)
    assert train(PARTS, config=config).losses == pytest.approx(alone.losses, rel=1e-5)
