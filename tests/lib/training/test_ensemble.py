"""An ensemble: teachers with different seeds, then a student of their mean predictions."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from microgpt.config import TrainConfig
from microgpt.data.split import split
from microgpt.errors import CheckpointError
from microgpt.state import TrainedTeacher
from microgpt.storage import training_directory
from microgpt.storage.training_directory import TrainingDirectory, read_training
from microgpt.training.ensemble import LEAST, MOST_TEACHERS
from microgpt.training.ensemble_training import train_job
from microgpt.training.fitting import explain_settings
from microgpt.training.holding_out import hold_out
from microgpt.training.hooks import Checkpoints, OnEvent, StopWhen
from microgpt.training.planning import TrainingJob, choose_settings, plan_training
from microgpt.training.presets import preset_settings
from microgpt.training.time_limit import TimeLimit

RNG = random.Random(0)
NAMES = ["".join(RNG.choices("abcdefgh", k=RNG.randint(3, 9))) for _ in range(300)]
SMALL = {"n_embd": 8, "n_layer": 1, "budget": 3e10}


def planned(**given) -> TrainingJob:
    given = {**SMALL, **given}
    job = plan_training(hold_out(NAMES, given), given)
    return replace(job, plan=replace(job.plan, input=Path("names.txt")))


@pytest.fixture(scope="module", autouse=True)
def _soon_learned() -> Iterator[None]:
    """Let one model use fewer operations than the rule allows, so that the tests are fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("microgpt.training.choice.MIN_USEFUL", 1e10)
        yield


@pytest.fixture(scope="module")
def whole():
    """The result of an uninterrupted run, and its events."""
    events = []
    return train_job(planned(), hooks=[OnEvent(events.append)]), events


def test_a_small_text_gets_an_ensemble_only_for_a_large_budget() -> None:
    job = planned()
    assert job.plan.ensemble.n_teachers == 2
    assert job.plan.config == job.plan.ensemble.config_of(0)
    assert not planned(budget=LEAST * 1e10).plan.ensemble
    assert planned(budget=1e12).plan.ensemble.n_teachers == MOST_TEACHERS


def test_one_model_can_be_requested_instead_of_an_ensemble() -> None:
    assert not planned(single=True).plan.ensemble


def test_a_model_with_a_parent_gets_no_ensemble(whole) -> None:
    result, _ = whole
    assert not plan_training(split(NAMES), {"budget": 3e10}, parent=result).plan.ensemble


def test_the_models_of_an_ensemble_together_fit_the_budget() -> None:
    for budget in (3e10, 1e11, 1e12):
        given = {"budget": budget}
        choice = choose_settings(hold_out(NAMES, given), given)
        assert choice.ensemble
        assert choice.operations <= 1.02 * budget
        assert choice.is_limited == (budget == 1e12)
        assert "teachers, " in explain_settings(choice)[0]


def test_the_teachers_of_an_ensemble_differ_only_in_their_seeds() -> None:
    ensemble = planned().plan.ensemble
    one, other = (ensemble.config_of(i) for i in range(2))
    assert one.seed != other.seed
    assert replace(one, seed=0) == replace(other, seed=0)
    assert (ensemble.student.dropout, ensemble.student.weight_decay) == (0, 0)
    assert ensemble.config_of(2) == ensemble.student
    assert ensemble.student.seed == planned().plan.ensemble.teacher.seed == 42


def test_progress_events_count_the_steps_of_all_models(whole) -> None:
    result, events = whole
    plan = result.plan
    n_steps = 2 * plan.ensemble.teacher.steps + plan.ensemble.student.steps
    assert {event.steps for event in events} == {n_steps}
    steps = [event.step for event in events]
    assert steps == sorted(steps)
    assert steps[-1] == events[-1].steps
    whats = [*dict.fromkeys(event.what for event in events)]
    assert whats[:2] == ["teacher 1 of 2", "teacher 2 of 2"]
    assert whats[-1] == "student"
    assert any("samples of the teachers" in what for what in whats)
    assert any("predicted by the teachers" in what for what in whats)


def test_the_state_of_a_finished_ensemble_contains_no_teachers(whole, tmp_path) -> None:
    result, _ = whole
    with TrainingDirectory(tmp_path / "run") as directory:
        directory.finish(result)
    plan, state, status = read_training(tmp_path / "run")
    assert (plan.config, state.teachers, status) == (result.config, (), "ended")
    assert result.config == result.plan.ensemble.student
    assert result.test_loss is not None
    assert result.trained_on == (result.data,)


@pytest.mark.parametrize("moment", range(10))
def test_an_ensemble_stopped_anywhere_ends_with_the_same_weights(whole, moment, tmp_path) -> None:
    result, events = whole
    n, seen = 1 + moment * (len(events) - 2) // 9, []
    with TrainingDirectory(tmp_path / "run") as directory:
        stopped = train_job(
            planned(),
            hooks=[
                OnEvent(seen.append),
                Checkpoints(directory.keep, every=7),
                StopWhen(lambda: len(seen) >= n),
            ],
        )
        if stopped.ending == "stopped":
            directory.keep(stopped.plan, stopped.state)
    plan, state, status = read_training(tmp_path / "run")
    assert status == "running"
    job = replace(planned(), plan=plan, resume=state)
    again = train_job(job, threads=1 + moment % 2)
    assert again.weights == result.weights
    assert again.plan.ensemble == result.plan.ensemble


class SlowClock:
    """A clock that runs faster and faster, as if the machine became slower."""

    def __init__(self, factor: float) -> None:
        self.now, self.factor = 0.0, factor

    def __call__(self) -> float:
        self.now += self.factor * 1e-3
        return self.now


def test_a_slow_machine_trains_fewer_teachers() -> None:
    clock = SlowClock(1.0)
    job = planned(budget=1e11)
    n = job.plan.ensemble.n_teachers
    assert n > 4
    limit = TimeLimit(minutes=1.0, started=0.0, reserve_s=0.0, clock=clock)
    seen = []

    def slow_down(event) -> None:
        seen.append(event)
        clock.now += 10.0 if "teacher 2" in event.what and event.val_loss else 0.0

    result = train_job(replace(job, limit=limit), hooks=[OnEvent(slow_down)])
    ensemble = result.plan.ensemble
    assert 1 <= ensemble.n_teachers < n
    again = train_job(replace(job, plan=result.plan.at(0)))
    assert again.weights == result.weights


def test_the_best_teacher_is_kept_if_the_student_is_no_better() -> None:
    job = planned()
    ensemble = replace(job.plan.ensemble, n_samples=0)
    useless = replace(ensemble.student, lr=1e-9)
    result = train_job(
        replace(job, plan=replace(job.plan, ensemble=replace(ensemble, student=useless)))
    )
    assert result.state.best.step == 0
    first = train_job(replace(job, plan=replace(job.plan, ensemble=None)))
    second = replace(job.plan, config=ensemble.config_of(1), ensemble=None)
    losses = [first.val_loss, train_job(replace(job, plan=second)).val_loss]
    assert result.val_loss == min(losses)


def test_an_ensemble_holds_out_the_documents_of_a_given_split() -> None:
    parts = split(NAMES, validation=0.1, test=0.1)
    job = plan_training(parts, SMALL)
    assert job.parts.test == parts.test
    assert train_job(job).test_loss is not None


def test_a_preset_can_train_an_ensemble() -> None:
    recipe = preset_settings("names-600s")
    parts = hold_out(NAMES, recipe)
    ensemble = plan_training(parts, recipe).plan.ensemble
    assert (ensemble.n_teachers, ensemble.teacher.steps, ensemble.student.steps) == (6, 4400, 12320)
    shorter = {**recipe, "steps": 100}
    assert plan_training(parts, shorter).plan.ensemble.student.steps == 280
    assert not plan_training(parts, {**recipe, "single": True}).plan.ensemble
    assert not plan_training(parts, preset_settings("names-10s")).plan.ensemble


def test_a_genome_or_given_settings_prevent_an_ensemble() -> None:
    assert not planned(genome=Path("genome.json")).plan.ensemble
    job = plan_training(hold_out(NAMES, SMALL), SMALL, config=TrainConfig(steps=3))
    assert not job.plan.ensemble


@pytest.mark.parametrize(
    ("changes", "n_trained"),
    [({"n_teachers": 10**12}, 2), ({"n_teachers": 0}, 2), ({"n_samples": -1}, 2),
     ({"n_samples": 10**12}, 2), ({}, 3)],
)  # fmt: skip
def test_an_impossible_ensemble_in_a_state_is_refused(whole, tmp_path, changes, n_trained) -> None:
    result, _ = whole
    plan = replace(result.plan, ensemble=replace(result.plan.ensemble, **changes))
    one_more = TrainedTeacher(result.state.weights, None)
    teachers = (*result.state.teachers, one_more)[:n_trained]
    with TrainingDirectory(tmp_path / "run") as directory:
        directory.keep(plan, replace(result.state, teachers=teachers))
    with pytest.raises(CheckpointError, match="ensemble does not match the other fields"):
        read_training(tmp_path / "run")


def test_a_resumed_run_still_omits_the_teachers_it_dropped() -> None:
    """It is stopped while the teachers predict, near the end of its time."""
    clock = SlowClock(0.0)
    job = planned(budget=1e11)
    limit = TimeLimit(minutes=1.0, started=0.0, reserve_s=0.0, clock=clock)
    seen = []

    def follow(event) -> None:
        seen.append(event.what)
        if event.what.startswith("teacher 2") and event.val_loss and clock.now < 40:
            clock.now = 40.0

    stopped = train_job(
        replace(job, limit=limit),
        hooks=[OnEvent(follow), StopWhen(lambda: bool(seen) and "predicted" in seen[-1])],
    )
    n = stopped.plan.ensemble.n_teachers
    assert (stopped.ending, len(stopped.state.teachers)) == ("stopped", n - 1)
    again = train_job(replace(job, plan=stopped.plan, resume=stopped.state, limit=limit))
    assert again.plan.ensemble.n_teachers == n < job.plan.ensemble.n_teachers


@pytest.mark.parametrize("moment", ["publish_model", "publish"])
def test_killing_a_run_while_it_writes_its_model_loses_nothing(
    whole, tmp_path, moment, monkeypatch
) -> None:
    result, _ = whole

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with TrainingDirectory(tmp_path / "run") as directory, monkeypatch.context() as patched:
        directory.keep(result.plan, result.state)
        patched.setattr(training_directory, moment, killed)
        with pytest.raises(KeyboardInterrupt):
            directory.finish(result)
    plan, state, status = read_training(tmp_path / "run")
    assert (status, len(state.teachers)) == ("running", 2)
    again = train_job(replace(planned(), plan=plan, resume=state))
    assert again.weights == result.weights


@pytest.mark.parametrize("step", [0, 7])
def test_a_resumed_run_omits_a_teacher_without_time_for_it(step) -> None:
    """The run is resumed late, in the third teacher."""
    job, states = planned(budget=1e11), []
    n = job.plan.ensemble.n_teachers
    train_job(job, hooks=[Checkpoints(lambda *found: states.append(found), every=7)])
    plan, state = next(
        (plan, state) for plan, state in states if len(state.teachers) == 2 and state.step == step
    )
    clock = SlowClock(1.0)
    limit = TimeLimit(minutes=1e-3, started=0.0, reserve_s=0.0, clock=clock)
    late = replace(state, seconds=100.0)
    result = train_job(replace(job, plan=plan, resume=late, limit=limit))
    assert result.plan.ensemble.n_teachers == 2 < n
    assert result.config.seed == result.plan.ensemble.student.seed
