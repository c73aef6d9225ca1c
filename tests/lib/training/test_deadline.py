from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from microgpt import CharTokenizer, ModelConfig, TrainConfig
from microgpt.data.split import Split
from microgpt.state import StepsChange, TrainEvent, TrainingPlan
from microgpt.training import loop
from microgpt.training.deadline import next_change, plan_with_steps, train_as_planned
from microgpt.training.planning import TrainingJob
from microgpt.training.time_limit import TimeLimit
from microgpt.training.train import DivergedError, train
from microgpt_engine.training import trainer

DOCS = ["anna", "emma", "ava", "mia", "isabella", "noah", "liam"]
PARTS = Split(DOCS, DOCS[2:], DOCS[:1], DOCS[1:2], 0.1, 0.1)
STEPS = 400
TOKENIZER = CharTokenizer.from_documents(DOCS)


def plan_of(**settings) -> TrainingPlan:
    model = ModelConfig(n_embd=4, n_head=2, block_size=8, vocab_size=TOKENIZER.vocab_size)
    settings = {"steps": STEPS, "batch_size": 2, "dropout": 0.1, "average_tail": 0.3, **settings}
    config = TrainConfig(lr=0.01, **settings)
    return TrainingPlan(model, config, TOKENIZER, "compiled", "float32", PARTS.facts)


@pytest.fixture(autouse=True)
def an_event_per_step(monkeypatch) -> None:
    monkeypatch.setattr(loop, "EVENT_INTERVAL_S", 0.0)
    monkeypatch.setattr(trainer, "MAX_STEPS", 1)


def test_a_pause_extends_the_time_limit_of_a_job() -> None:
    limit = TimeLimit(1.0, 0, 0, lambda: 0.0)
    end = limit.end
    for job in (TrainingJob(plan_of(), PARTS, limit=limit), TrainingJob(plan_of(), PARTS)):
        job.extend(3.0)
    assert limit.end == end + 3


class Machine:
    """A machine whose speed depends only on the step."""

    def __init__(self, seconds_until: Callable[[int], float]) -> None:
        self.step, self.seconds_until = 0, seconds_until

    def follow(self, event: TrainEvent) -> None:
        self.step = event.step

    def train(self, plan: TrainingPlan, seconds: float = 100.0, **options):
        limit = TimeLimit(seconds / 60, 0, 0, lambda: self.seconds_until(self.step))
        job = TrainingJob(plan, PARTS, limit=limit)
        result = train_as_planned(job, on_event=self.follow, **options)
        return result, self.seconds_until(self.step)


def slower_from(step: int, factor: float) -> Callable[[int], float]:
    """Return the seconds until a step on a machine that slows down; it would need 100 s."""
    return lambda at: (min(at, step) + factor * max(0, at - step)) * 100 / STEPS


@pytest.mark.parametrize("from_step", [0, 20, 200, 360, 392])
@pytest.mark.parametrize("factor", [1.3, 2, 5])
def test_a_slow_run_is_shortened_to_end_in_time(from_step, factor) -> None:
    result, seconds = Machine(slower_from(from_step, factor)).train(plan_of())
    late = (STEPS - from_step) * (factor - 1) * 100 / STEPS  # in seconds, if nothing is done
    is_changed = bool(result.plan.steps_changed)
    assert is_changed if late > 5 else not is_changed or late > 2.9
    assert 90 <= seconds <= 105
    assert result.ending == "steps"
    assert result.state.step == result.config.steps <= STEPS
    assert result.test_loss is not None


@pytest.mark.parametrize("at_step", [2, 5, 40, 200, 300])
def test_a_pause_shortens_a_run_only_by_the_length_of_the_pause(at_step) -> None:
    pause_s = 13
    machine = Machine(lambda at: slower_from(0, 1)(at) + pause_s * (at > at_step))
    result, seconds = machine.train(plan_of())
    assert len(result.plan.steps_changed) == 1
    assert result.state.step == pytest.approx(STEPS * (100 - pause_s) / 100, abs=4)
    assert 98 <= seconds <= 100


@pytest.mark.parametrize("length_s", [6, 16])
def test_a_slow_phase_shortens_a_run_only_moderately(length_s) -> None:
    """The machine is half as fast from 20 s on, for a few seconds."""
    n_slow = length_s * STEPS // 100 // 2  # number of steps in that phase
    result, seconds = Machine(
        lambda at: slower_from(0, 1)(at) + slower_from(0, 1)(min(n_slow, max(0, at - 80)))
    ).train(plan_of())
    assert len(result.plan.steps_changed) == (length_s > 6)
    assert result.state.step >= STEPS * (100 - 0.75 * length_s) / 100
    assert 95 <= seconds <= 103


def test_a_run_that_ends_in_time_is_not_changed() -> None:
    for factor in (1.0, 0.5):
        result, _ = Machine(slower_from(0, factor)).train(plan_of())
        assert result.plan == plan_of()
        assert result.weights == train(PARTS, **trained(plan_of())).weights


def trained(plan: TrainingPlan) -> dict:
    return {"model": plan.model, "config": plan.config, "tokenizer": plan.tokenizer}


def test_a_shortened_run_can_be_repeated_exactly() -> None:
    speeds = lambda at: slower_from(50, 2)(at) + 3 * max(0, at - 150) * 100 / STEPS  # noqa: E731
    first, _ = Machine(speeds).train(plan_of())
    changes = first.plan.steps_changed
    assert len(changes) >= 2
    assert [one.after for one in changes[:-1]] == [one.before for one in changes[1:]]
    assert changes[0].before == STEPS
    assert changes[-1].after == first.config.steps
    again = train_as_planned(TrainingJob(replace(plan_of(), steps_changed=changes), PARTS))
    assert again.weights == first.weights
    assert again.plan == first.plan
    assert again.losses == first.losses
    assert again.state.history == first.state.history


def test_an_interrupted_run_keeps_the_later_changes() -> None:
    changes = (StepsChange(100, 400, 300), StepsChange(200, 300, 250))
    plan = replace(plan_of(), steps_changed=changes)
    whole = train_as_planned(TrainingJob(plan, PARTS))
    assert whole.state.step == 250
    kept, keep = [], lambda *checkpoint: kept.append(checkpoint)
    train_as_planned(TrainingJob(plan, PARTS), on_state=keep, state_every=50)
    assert {state.step for _, state in kept} == {0, 50, 100, 150, 200}
    for plan_so_far, state in kept:
        resumed = train_as_planned(TrainingJob(plan_so_far, PARTS, resume=state))
        assert resumed.weights == whole.weights
        assert resumed.plan == whole.plan


def test_an_interruption_is_not_recorded_as_a_change_of_steps() -> None:
    plan = replace(plan_of(), steps_changed=(StepsChange(100, 400, 300),))
    answers = iter([False] * 100)
    result = train_as_planned(TrainingJob(plan, PARTS), should_stop=partial(next, answers, True))
    assert result.ending == "stopped"
    assert result.plan == plan
    resumed = train_as_planned(TrainingJob(result.plan, PARTS, resume=result.state))
    assert resumed.weights == train_as_planned(TrainingJob(plan, PARTS)).weights


def test_a_state_is_saved_before_each_change_of_the_steps() -> None:
    """Otherwise, a run that is shortened every few seconds would save none."""
    speeds, kept = slower_from(50, 3), []
    result, _ = Machine(speeds).train(plan_of(), on_state=lambda *saved: kept.append(saved))
    changes = result.plan.steps_changed
    assert len(changes) == 2
    assert [state.step for _, state in kept] == [0, *(change.step for change in changes)]
    assert [plan.steps_changed for plan, _ in kept] == [(), (), changes[:1]]
    again = train_as_planned(TrainingJob(replace(plan_of(), steps_changed=changes), PARTS))
    for plan, state in kept:
        rest = replace(plan, steps_changed=changes)
        assert train_as_planned(TrainingJob(rest, PARTS, resume=state)).weights == again.weights


def test_patience_can_end_a_run_with_a_deadline() -> None:
    plan = plan_of(patience=1, evaluations=100)
    result, _ = Machine(slower_from(0, 1)).train(plan)
    assert result.ending == "patience"
    assert result.state.step < STEPS


def test_a_divergence_in_a_shortened_run_is_reported() -> None:
    plan = replace(plan_of(), steps_changed=(StepsChange(2, 400, 300),))
    plan = replace(plan, config=replace(plan.config, lr=1e30))
    with pytest.raises(DivergedError) as caught:
        train_as_planned(TrainingJob(plan, PARTS))
    assert caught.value.result.plan.model == plan.model
    assert len(caught.value.result.losses) == caught.value.result.state.step


def test_two_changes_of_the_planned_steps_at_one_step_are_merged() -> None:
    plan = plan_with_steps(plan_with_steps(plan_of(), 10, 300), 10, 200)
    assert plan.steps_changed == ((10, 400, 200),)
    assert plan.config.steps == 200
    assert plan_with_steps(plan, 10, 400) == plan_of()
    assert plan_with_steps(plan_of(), 0, 300) == plan_of(steps=300)
    plan = plan_with_steps(plan, 20, 500)
    assert plan.steps_changed == ((10, 400, 200), (20, 200, 500))
    assert next_change(plan, 20) is None
    assert next_change(replace(plan, config=replace(plan.config, steps=200)), 20) == (20, 200, 500)
