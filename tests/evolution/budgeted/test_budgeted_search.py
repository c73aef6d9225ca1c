"""Tests that interruptions, more workers and lost states do not change a search's result."""

import hashlib
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from searches import contents

from microgpt.training.hooks import OnEvent
from microgpt.training.time_limit import TimeLimit
from microgpt.training.train import train
from microgpt.training_state import TrainResult
from microgpt_evolution.budgeted_search import BudgetedSearch
from microgpt_evolution.evolution_errors import NoWinnerError, StudyError
from microgpt_evolution.genome import VALUES
from microgpt_evolution.objectives import rung_objective
from microgpt_evolution.objectives.rung_objective import RungObjective
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import BudgetedSettings
from microgpt_evolution.trial import EVALUATIONS, RUNGS, STUDENT, Contestant
from microgpt_evolution.workers import Threads

pytestmark = pytest.mark.compiled

GENES = ("n_embd", "lr", "n_tokens", "dropout")


@pytest.fixture(scope="module")
def settings(small, small_parts) -> BudgetedSettings:
    return BudgetedSettings(
        budget=6e8,
        operations=1e8,
        input="/some/where.txt",
        text="lines",
        data_sha256=small_parts.facts.sha256,
        val_fraction=0.2,
        test_fraction=0.2,
        seed=3,
        first=(replace(small, n_embd=16),),
        values={gene: VALUES[gene] for gene in GENES},
    )


def begun(folder: Path, settings: BudgetedSettings) -> Study[BudgetedSettings]:
    return Study.begin(folder, "evolve", settings)


def opened(directory: Path) -> Study[BudgetedSettings]:
    return Study(directory, BudgetedSettings, is_locked=True)


def finished(records, parts, pool, **options) -> tuple[str, str, list]:
    """Run a search; return the hash of the winner's weights, the winner's id, and all losses."""
    with pool, records:
        search = BudgetedSearch(parts, pool, records, on_event=lambda search: None, **options)
        search.run()
        best, trained = search.winner()
        assert search.spent <= records.settings.budget
    digest = hashlib.sha256(repr(trained.weights).encode()).hexdigest()
    rungs = Study(records.directory, BudgetedSettings).records
    return digest, best.id, sorted((r.id, r.until, r.losses, r.flops) for r in rungs)


@pytest.fixture(scope="module")
def expected_run(tmp_path_factory, settings, small_parts):
    records = begun(tmp_path_factory.mktemp("expected"), settings)
    return records.directory, finished(records, small_parts, Threads(1))


@pytest.mark.parametrize("has_states", [True, False])
def test_a_stopped_search_resumes_to_the_same_result(
    tmp_path, settings, small_parts, expected_run, has_states
) -> None:
    records, expected = begun(tmp_path, settings), expected_run[1]

    generations = []

    def stop_soon(search) -> None:
        generations.append(search.strategy.generation)
        if generations.count(3) == 2:  # after the first trial of generation 3
            raise KeyboardInterrupt

    with Threads(2) as pool, records:
        search = BudgetedSearch(small_parts, pool, records, on_event=stop_soon)
        with pytest.raises(KeyboardInterrupt):
            search.run()
        search.winner()  # training the best organism so far does not change the result
    if not has_states:
        shutil.rmtree(records.directory / ".organisms")
    again = opened(records.directory)
    assert 0 < len(again.records) < len(expected[2])
    assert finished(again, small_parts, Threads(2)) == expected


def test_a_budgeted_objective_has_no_test_set(tmp_path, settings, small_parts) -> None:
    with Threads(1) as pool, begun(tmp_path, settings) as records:
        search = BudgetedSearch(small_parts, pool, records, on_event=lambda search: None)
        assert search.objective.sets.test == ()


def test_a_search_without_training_runs_has_no_winner(tmp_path, settings, small_parts) -> None:
    with Threads(1) as pool, begun(tmp_path, settings) as records:
        search = BudgetedSearch(small_parts, pool, records, on_event=lambda search: None)
        with pytest.raises(NoWinnerError):
            search.winner()


def test_a_study_with_changed_genomes_is_not_resumed(tmp_path, small_parts, expected_run) -> None:
    shutil.copytree(expected_run[0], tmp_path / "run")
    study = opened(tmp_path / "run")
    study.change(first=(replace(study.settings.first[0], n_head=1),))
    with pytest.raises(StudyError, match="a different genome for g1-1"):
        finished(study, small_parts, Threads(1))


def test_training_of_the_winner_ends_before_it_diverges(tmp_path, settings, small_parts) -> None:
    (genome,) = settings.first
    losses = (*(2.0 - i / 10 for i in range(RUNGS[0])), math.inf)
    with Threads(1) as pool, begun(tmp_path, settings) as records:
        search = BudgetedSearch(small_parts, pool, records, on_event=lambda search: None)
        search.strategy.organisms["g1-1"] = Contestant(genome, 1, "g1-1", "given", losses=losses)
        _, trained = search.winner()
    assert trained.state.step == RUNGS[0] * trained.config.steps_between_evaluations


def student_of(records, parts, *hooks, lowest=1.0, contexts=(8, 8), **options) -> TrainResult:
    """Train the student of two organisms with the given contexts, or load the recorded one.

    The loss of the first organism is 0.9; the loss of the second one is `lowest`.
    """
    (genome,) = records.settings.first
    with Threads(1) as pool, records:
        search = BudgetedSearch(parts, pool, records, on_event=lambda search: None, **options)
        for i, (context, last) in enumerate(zip(contexts, (0.9, lowest), strict=True), start=1):
            losses = (*[2.0] * (EVALUATIONS - 1), last)
            teacher = replace(genome, block_size=context)
            organism = Contestant(teacher, i, f"g1-{i}", "given", losses=losses)
            search.strategy.organisms[organism.id] = organism
        return search.student(hooks)


@pytest.fixture
def taught(settings) -> BudgetedSettings:
    return settings.model_copy(update={"distill": 2})


@pytest.mark.parametrize(("contexts", "found"), [((16, 8), 8), ((8, 6), 6)])
def test_a_student_has_the_shortest_context_and_no_test_loss(
    tmp_path, taught, small_parts, contexts, found
) -> None:
    student = student_of(begun(tmp_path, taught), small_parts, contexts=contexts)
    assert student.model.block_size == found
    assert student.test_loss is None  # `evolve` measures it later


def test_a_student_requires_two_teachers(tmp_path, taught, small_parts) -> None:
    assert not student_of(begun(tmp_path, taught), small_parts, contexts=(8, 4))


def test_a_recorded_student_is_measured_and_not_retrained(tmp_path, taught, small_parts) -> None:
    records = begun(tmp_path, taught)
    first = student_of(records, small_parts)
    before = contents(records.directory)
    again = student_of(opened(records.directory), small_parts)
    assert (again.weights, again.val_loss) == (first.weights, first.val_loss)
    assert again.plan.contamination == {"validation": 0, "test": 0}
    assert contents(records.directory) == before
    *_, student = Study(records.directory, BudgetedSettings).records
    assert student.origin == STUDENT
    assert student.losses[0] == pytest.approx(first.val_loss, rel=0.2)  # both are per character


def test_a_student_stopped_and_restarted_has_the_same_result(tmp_path, taught, small_parts) -> None:
    expected = student_of(begun(tmp_path / "whole", taught), small_parts)
    records = begun(tmp_path / "stopped", taught)

    def stop_soon(event) -> None:
        if event.step > event.steps / 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        student_of(records, small_parts, OnEvent(stop_soon))
    assert STUDENT not in {each.origin for each in records.records}
    assert student_of(opened(records.directory), small_parts).weights == expected.weights


def timed(folder, settings, parts, monkeypatch, slow: float):
    """Run a search on a simulated clock; evaluations take `slow` times as long as estimated.

    Return its records, the result of `finished`, and its duration divided by the time limit.
    """
    now, budgeted = 0.0, RungObjective(parts, settings.text, settings.operations)

    def measure_slowly(self, rung, *args, **options):
        operations = budgeted.cost(rung.genome, 1)

        def train_slowly(*args, hooks, **options):
            def note(event) -> None:
                nonlocal now
                if event.val_loss is not None:
                    now += slow * 60 * operations / settings.budget

            return train(*args, hooks=[OnEvent(note), *hooks], **options)

        with monkeypatch.context() as patch:
            patch.setattr(rung_objective, "train", train_slowly)
            return measure(self, rung, *args, **options)

    measure = RungObjective.measure
    monkeypatch.setattr(RungObjective, "measure", measure_slowly)
    records = begun(folder, settings)
    limit = TimeLimit(1.0, 0.0, reserve_s=0.0, clock=lambda: now)
    outcome = finished(records, parts, Threads(1), limit=limit)
    return Study(records.directory, BudgetedSettings), outcome, now / 60


@pytest.mark.parametrize("slow", [0.9, 2.0])
def test_a_search_ends_at_its_time_limit_and_resumes_to_the_same_result(
    tmp_path, settings, small_parts, monkeypatch, slow
) -> None:
    records, outcome, duration = timed(tmp_path, settings, small_parts, monkeypatch, slow)
    assert 0.75 <= duration <= 1.15  # the last generation may exceed the time limit
    assert any(until == EVALUATIONS for _, until, *_ in outcome[2])
    path, before = records.directory / "trials.jsonl", contents(records.directory)
    assert finished(opened(records.directory), small_parts, Threads(2)) == outcome
    assert contents(records.directory) == before
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))
    assert finished(opened(records.directory), small_parts, Threads(1)) == outcome
