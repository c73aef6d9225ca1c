"""Tests of ensembles: teachers with different seeds, and a student of their mean predictions."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from unittest.mock import Mock

import pytest
from json_files import edit
from trainings import made_up_names, training_of

from microgpt import files
from microgpt.config import TrainConfig
from microgpt.errors import CheckpointError, ConfigError
from microgpt.settings import preset_settings
from microgpt.storage.checkpoint import TrainingDirectory, has_state, read_training
from microgpt.storage.model_directory import load
from microgpt.training import ensemble
from microgpt.training.distillation import Teachers
from microgpt.training.ensemble import open_ensemble, teacher_paths, with_samples, with_teachers
from microgpt.training.fine_tuning import hold_out
from microgpt.training.fitting import MIN_BUDGET, MOST_TEACHERS, Fitting, choose_settings
from microgpt.training.hooks import Checkpoints, Hook, StopWhen
from microgpt.training.planning import TrainingJob, plan_training
from microgpt.training.time_limit import TimeLimit
from microgpt.training.train import train_job
from microgpt.training_state import TrainResult

pytestmark = pytest.mark.compiled

NAMES = made_up_names(300)
SMALL = {"n_embd": 8, "n_layer": 1, "budget": 3e10}


def planned(**given) -> TrainingJob:
    given = {**SMALL, **given}
    job = plan_training(hold_out(NAMES, given), given).with_steps(100)
    return replace(job, plan=replace(job.plan, input=Path("names.txt")))


@pytest.fixture(scope="module", autouse=True)
def _soon_learned() -> Iterator[None]:
    """Lower the budget beyond which a single model stops improving, so that tests are fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("microgpt.training.choice.MIN_USEFUL", 1e10)
        patch.setattr(os, "fsync", lambda file: None)  # a sync matters only after a crash
        yield


class Killed(BaseException):
    """An exception that simulates a kill of the process."""


def trained(job: TrainingJob, path: Path, *hooks: Hook, threads: int = 1) -> TrainResult:
    """Return the result of a run that writes the same files as `microgpt train`."""

    def train(job: TrainingJob, directory: TrainingDirectory) -> TrainResult:
        result = train_job(job, threads=threads, hooks=(*hooks, Checkpoints(directory.keep)))
        if result.ending == "stopped":
            directory.keep(result.plan, result.state)
            raise Killed
        directory.finish(result)
        return result

    with TrainingDirectory(path) as directory:
        if job.plan.ensemble and not job.teachers:
            job = with_teachers(job, directory, train, threads=threads)
        result = train(job, directory)
        ensemble.remove_teachers(path)
        return result


def resumed(path: Path, threads: int = 1) -> TrainResult:
    plan, state, _ = read_training(path)
    job = replace(planned(), plan=plan)
    if state.step:
        ensemble = open_ensemble(path, plan, state)
        teachers = Teachers([load(each) for each in teacher_paths(path, ensemble)])
        job = with_samples(replace(job, teachers=teachers, resume=state))
    return trained(job, path, threads=threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> TrainResult:
    """The result of an uninterrupted training run of an ensemble."""
    return trained(planned(), tmp_path_factory.mktemp("whole") / "model")


def test_budget_and_options_decide_on_an_ensemble_and_its_size(whole) -> None:
    assert planned().plan.ensemble.n_teachers == 2
    assert planned(budget=1e12).plan.ensemble.n_teachers == MOST_TEACHERS
    assert not planned(budget=MIN_BUDGET * 1e10).plan.ensemble
    assert not planned(single=True).plan.ensemble
    assert not planned(genome=Path("genome.json")).plan.ensemble
    parts = hold_out(NAMES, SMALL)
    assert not plan_training(parts, SMALL, parent=whole).plan.ensemble
    assert not plan_training(parts, SMALL, config=TrainConfig(steps=3)).plan.ensemble


def test_an_ensemble_fits_its_budget_and_says_if_it_needs_less() -> None:
    for budget in (3e10, 1e11, 1e12):
        given = {"budget": budget}
        choice = choose_settings(Fitting(hold_out(NAMES, given), given))
        assert choice.ensemble
        assert choice.operations <= 1.02 * budget
        assert choice.is_limited == (budget == 1e12)


def test_the_teachers_of_an_ensemble_differ_only_in_their_seeds() -> None:
    one, other = map(planned().plan.ensemble.config_of, range(2))
    assert one.seed != other.seed
    assert replace(one, seed=0) == replace(other, seed=0)


def test_a_student_has_the_given_seed_and_no_regularisation() -> None:
    plan = planned(seed=7).plan
    assert (plan.config.dropout, plan.config.weight_decay) == (0, 0)
    assert plan.config.seed == plan.ensemble.teacher.seed == 7


def test_an_ensemble_ends_with_a_test_loss_and_teacher_records(tmp_path) -> None:
    result = trained(planned(), tmp_path / "model")
    plan, _, status = read_training(tmp_path / "model")
    assert (plan.config, status) == (planned().plan.config, "ended")
    assert len(plan.teachers) == len(training_of(tmp_path / "model")["teachers"]) == 2
    assert not (tmp_path / "model/.teachers").exists()
    assert plan.ensemble == planned().plan.ensemble
    assert result.trained_on == (result.plan.data, result.plan.data)
    assert result.test_loss is not None


N_WRITES = 9  # writes in a run: two or three per model, and two before the student is trained


@pytest.mark.parametrize("n", range(N_WRITES))
def test_an_ensemble_killed_before_a_write_can_be_resumed(whole, n, tmp_path, monkeypatch) -> None:
    calls = count()

    def publish(*args, **options) -> None:
        if next(calls) == n:
            raise Killed
        files.publish(*args, **options)

    with monkeypatch.context() as patched:
        for module in ("storage.checkpoint", "storage.model_directory"):
            patched.setattr(f"microgpt.{module}.publish", publish)
        with pytest.raises(Killed):
            trained(planned(), tmp_path / "run")
    run = tmp_path / "run"
    again = resumed(run) if has_state(run) else trained(planned(), run)
    assert again.weights == whole.weights


def killed_in(path: Path, place: object, what: str) -> None:
    """Simulate a kill when a run first calls the function `what` of the module or class `place`."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(place, what, Mock(side_effect=Killed))
        with pytest.raises(Killed):
            trained(planned(), path)


@pytest.mark.parametrize("what", ["add_ngrams", "dataset", "load"])
def test_a_run_killed_before_training_its_student_can_be_resumed(whole, what, tmp_path) -> None:
    place = Teachers if what == "dataset" else ensemble
    killed_in(tmp_path / "run", place, what)
    assert resumed(tmp_path / "run", threads=2).weights == whole.weights


def test_an_ended_run_killed_with_teachers_left_can_remove_them(tmp_path) -> None:
    run = tmp_path / "run"
    killed_in(run, ensemble, "remove_teachers")
    assert read_training(run)[2] == "ended"
    with TrainingDirectory(run):
        ensemble.remove_teachers(run)
    assert not {*os.listdir(run)} & {".teachers", ".saving"}


class Clock(Hook):
    """A clock that jumps to 60 s after the first evaluation of the model `late_in`."""

    now = 0.0

    def __init__(self, late_in: str = "none") -> None:
        self.late_in = late_in

    def limit(self, minutes: float = 1.0) -> TimeLimit:
        return TimeLimit(minutes=minutes, started=0.0, reserve_s=0.0, clock=lambda: self.now)

    def on_step(self, run) -> None:
        if run.job.place.name.startswith(self.late_in) and run.best:
            self.now = max(self.now, 60.0)


class StopIn(Hook):
    """Stops the training of an ensemble after the first steps of the model `place`."""

    def __init__(self, place: str) -> None:
        self.place, self.is_due = place, False

    def on_step(self, run) -> None:
        self.is_due = run.job.place.name.startswith(self.place) and run.step > 0

    def should_stop(self) -> bool:
        return self.is_due


def test_a_student_of_fewer_teachers_than_planned_can_be_resumed(tmp_path) -> None:
    """The time limit ends the training of teachers early, so there are fewer than planned."""
    clock = Clock(late_in="teacher 2")
    job = replace(planned(budget=1e11), limit=clock.limit())
    with pytest.raises(Killed):
        trained(job, tmp_path / "a", clock, StopIn("the student"))
    result = resumed(tmp_path / "a")
    n = result.plan.ensemble.n_teachers
    assert 1 <= len(result.plan.teachers) == n < job.plan.ensemble.n_teachers
    again = planned(budget=result.plan.given["budget"], n_teachers=n)
    assert trained(again, tmp_path / "b").weights == result.weights


def test_a_run_stopped_in_its_first_teacher_by_the_time_limit_can_resume(whole, tmp_path) -> None:
    run, clock = tmp_path / "run", Clock(late_in="teacher 1")
    with pytest.raises(Killed):
        trained(planned(), run, StopIn("teacher 1"))
    job = replace(planned(), plan=read_training(run)[0], limit=clock.limit(0.9))
    with pytest.raises(ConfigError, match="before the first teacher was trained; continue with "):
        trained(job, run, clock)
    assert read_training(run)[2] == "running"
    assert resumed(run).weights == whole.weights


def test_the_speed_of_the_first_teacher_sets_the_number_of_steps_of_all_models(tmp_path) -> None:
    job = planned(budget=1e11).with_steps(10_000)
    clock, seen = Clock(), []

    class Jobs(Hook):
        n_done = 0

        def on_step(self, run) -> None:
            """Make each step take 0.4 ms on the simulated clock."""
            seen.append((run.job.place.name, run.config.steps))
            n_before, self.n_done = min(self.n_done, run.step), run.step
            clock.now += 4e-4 * (run.step - n_before)

    result = trained(replace(job, limit=clock.limit(0.05)), tmp_path / "a", Jobs())
    steps = [n for name, n in seen if name.startswith("teacher 1")]
    assert steps[0] == 10_000 > steps[-1] == result.plan.ensemble.teacher.steps
    assert result.config.steps == job.plan.config.steps * steps[-1] // 10_000


def test_the_best_teacher_becomes_the_model_if_the_student_is_no_better(tmp_path) -> None:
    job = planned()
    config, ensemble = replace(job.plan.config, lr=1e-9), replace(job.plan.ensemble, n_samples=0)
    useless = replace(job.plan, config=config, ensemble=ensemble)
    result = trained(replace(job, plan=useless), tmp_path / "run")
    assert result.state.best.step == 0
    losses = []
    for i in range(2):
        plan = replace(job.plan, config=ensemble.config_of(i), ensemble=None)
        losses.append(trained(replace(job, plan=plan), tmp_path / str(i)).val_loss)
    assert result.val_loss == min(losses)


def test_a_preset_sets_the_ensemble_which_options_can_change() -> None:
    recipe = preset_settings("names-600s")
    parts = hold_out(NAMES, recipe)
    job = plan_training(parts, recipe)
    steps = job.plan.ensemble.teacher.steps, job.plan.config.steps
    assert (job.plan.ensemble.n_teachers, *steps) == (6, 4400, 12320)
    assert plan_training(parts, {**recipe, "steps": 100}).plan.config.steps == 280
    assert not plan_training(parts, {**recipe, "single": True}).plan.ensemble
    assert not plan_training(parts, preset_settings("names-10s")).plan.ensemble


@pytest.mark.parametrize(
    "changes",
    [{"n_teachers": 10**12}, {"n_teachers": 0}, {"n_samples": -1}, {"n_samples": 10**12},
     {"teacher": {"steps": "many"}}, {"teacher": 3}],
)  # fmt: skip
def test_a_checkpoint_with_invalid_ensemble_settings_is_refused(tmp_path, changes) -> None:
    with pytest.raises(Killed):
        trained(planned(), tmp_path / "run", StopWhen(lambda: True))
    file = tmp_path / "run/train_state.json"
    edit(file, ensemble={**json.loads(file.read_text())["ensemble"], **changes})
    with pytest.raises(CheckpointError, match=f"^{file}: ") as error:
        read_training(tmp_path / "run")
    assert str(error.value).count("\n") == 0
