"""A budgeted search gives the same bytes with any workers, after a stop, and without states."""

import hashlib
import math
import shutil
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from searches import edit_evaluations

from microgpt.state import TrainResult
from microgpt.training.hooks import OnEvent
from microgpt.training.time_limit import TimeLimit
from microgpt.training.train import train
from microgpt_evolution.budgeted import objective
from microgpt_evolution.budgeted.budgeted_records import BudgetedRecords, BudgetedSettings
from microgpt_evolution.budgeted.budgeted_search import BudgetedSearch
from microgpt_evolution.budgeted.genome import EVALUATIONS, RUNGS, Contestant
from microgpt_evolution.budgeted.objective import BudgetedObjective
from microgpt_evolution.errors import NoWinnerError, RunError, StoppedError
from microgpt_evolution.genome import VALUES
from microgpt_evolution.workers.pools import Threads

GENES = ("n_embd", "lr", "n_tokens", "average_tail")


@pytest.fixture(scope="module")
def settings(small, small_parts) -> BudgetedSettings:
    return BudgetedSettings(
        budget=1e9,
        operations=1e8,
        input="/some/where.txt",
        text="lines",
        data_sha256=small_parts.facts.sha256,
        val_fraction=0.2,
        test_fraction=0.2,
        seed=3,
        first=(replace(small, n_embd=16),),
        values={gene: VALUES[gene] for gene in GENES},
        rates={},
    )


def begun(folder: Path, settings: BudgetedSettings) -> BudgetedRecords:
    return BudgetedRecords.begin(folder, "evolve", settings)


def finished(records, parts, pool, **options) -> tuple[str, str, list]:
    """Run a search; return the hash of the winner's weights, its id, and the losses of all."""
    with pool, records:
        search = BudgetedSearch(parts, pool, records, on_event=lambda event: None, **options)
        search.run()
        best, trained = search.winner()
        assert search.spent <= records.settings.budget
    digest = hashlib.sha256(repr(trained.weights).encode()).hexdigest()
    rungs = BudgetedRecords.read(records.directory).lines
    return digest, best.id, sorted((r.id, r.until, r.losses, r.flops) for r in rungs)


@pytest.fixture(scope="module")
def expected_run(tmp_path_factory, settings, small_parts):
    records = begun(tmp_path_factory.mktemp("expected"), settings)
    return records.directory, finished(records, small_parts, Threads(1))


@pytest.fixture(scope="module")
def expected(expected_run):
    return expected_run[1]


def test_the_number_of_workers_does_not_change_a_search(
    tmp_path, settings, small_parts, expected
) -> None:
    assert finished(begun(tmp_path, settings), small_parts, Threads(3)) == expected


@pytest.mark.parametrize("has_states", [True, False])
def test_a_stopped_search_resumes_to_the_same_result(
    tmp_path, settings, small_parts, expected, has_states
) -> None:
    records, stop = begun(tmp_path, settings), Event()

    def stop_soon(event) -> None:
        if event.generation == 3 and event.n_done == 1:
            stop.set()

    with Threads(2) as pool, records:
        search = BudgetedSearch(small_parts, pool, records, on_event=stop_soon, should_stop=stop)
        with pytest.raises(StoppedError):
            search.run()
        best, trained = search.winner()  # the best so far can be used
        assert best.losses
        assert trained.state.step
    if not has_states:
        shutil.rmtree(records.directory / "organisms")
    again = BudgetedRecords.open(records.directory)
    assert 0 < again.n_known < len(expected[2])
    assert finished(again, small_parts, Threads(2)) == expected


def test_a_killed_search_resumes_to_the_same_result(
    tmp_path, settings, small_parts, expected_run
) -> None:
    """The state is written before the record, so a record may be missing or incomplete."""
    directory, expected = expected_run
    shutil.copytree(directory, tmp_path / "run")
    path = tmp_path / "run" / "evaluations.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    assert finished(BudgetedRecords.open(tmp_path / "run"), small_parts, Threads(2)) == expected


def test_the_search_never_reads_the_test_set(tmp_path, settings, small_parts) -> None:
    with Threads(1) as pool, begun(tmp_path, settings) as records:
        search = BudgetedSearch(small_parts, pool, records, on_event=lambda event: None)
        assert search.objective.parts.test == ()
        with pytest.raises(NoWinnerError):
            search.winner()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"until":6', '"until":"6"', "until"),
        ('"n_head":2', '"n_head":0', "n_head must be >= 1"),
        ('"seed":', '"name":', "seed: field required"),
    ],
)
def test_damaged_search_records_are_refused(tmp_path, expected_run, old, new, problem) -> None:
    shutil.copytree(expected_run[0], tmp_path / "run")
    edit_evaluations(tmp_path / "run", old, new)
    with pytest.raises(RunError, match=problem) as error:
        BudgetedRecords.open(tmp_path / "run")
    assert "line 1" in str(error.value)


def test_records_of_other_genomes_are_refused(tmp_path, small_parts, expected_run) -> None:
    shutil.copytree(expected_run[0], tmp_path / "run")
    edit_evaluations(tmp_path / "run", '"n_head":2', '"n_head":1')
    with pytest.raises(RunError, match="a different genome for g1-"):
        finished(BudgetedRecords.open(tmp_path / "run"), small_parts, Threads(1))


def test_a_diverged_winner_is_trained_to_its_last_finite_loss(
    tmp_path, settings, small_parts
) -> None:
    (genome,) = settings.first
    losses = (*(2.0 - i / 10 for i in range(RUNGS[0])), math.inf)
    with Threads(1) as pool, begun(tmp_path, settings) as records:
        search = BudgetedSearch(small_parts, pool, records, on_event=lambda event: None)
        search.organisms["g1-1"] = Contestant(genome, 1, "g1-1", "given", losses=losses)
        _, trained = search.winner()
    assert trained.state.step == RUNGS[0] * trained.config.steps_between_evaluations


@pytest.mark.parametrize(
    ("context", "other", "found"), [(16, 8, 8), (8, 16, 8), (8, 6, 6), (8, 4, None)]
)
def test_the_student_takes_the_shorter_context_of_its_teachers(
    tmp_path, settings, small_parts, context, other, found
) -> None:
    (genome,) = settings.first
    settings = settings.model_copy(update={"distill": 2})
    with Threads(1) as pool, begun(tmp_path, settings) as records:
        search = BudgetedSearch(small_parts, pool, records, on_event=lambda event: None)
        for i, block_size in enumerate((context, other), start=1):
            changed = replace(genome, block_size=block_size)
            losses = (*[2.0 + i] * (EVALUATIONS - 1), 1.0 + i)
            search.organisms[f"g1-{i}"] = Contestant(changed, i, f"g1-{i}", "given", losses=losses)
        student = search.student()
        _, winner = search.winner()
    assert (student and student.model.block_size) == found
    assert {each.test_loss for each in (winner, student) if each} == {None}  # for the CLI
    assert not student or student.plan.contamination == {"validation": 0, "test": 0}


def student_of(records, parts, *hooks, limit=None) -> TrainResult:
    """Train or repeat the student of two organisms."""
    losses = (*[2.0] * (EVALUATIONS - 1), 1.0)
    (genome,) = records.settings.first
    with Threads(1) as pool, records:
        options = {"on_event": lambda event: None, "limit": limit}
        search = BudgetedSearch(parts, pool, records, **options)
        for i in (1, 2):
            search.organisms[f"g1-{i}"] = Contestant(genome, i, f"g1-{i}", "given", losses=losses)
        return search.student(hooks)


@pytest.mark.parametrize("forgets", [False, True])
def test_a_student_that_the_time_limit_ended_is_repeated(
    tmp_path, settings, small_parts, forgets
) -> None:
    now = 0.0

    def slow_down(event) -> None:
        nonlocal now
        now += 100.0 if event.step > event.steps / 2 else 1.0

    limit = TimeLimit(1.0, 0.0, reserve_s=0.0, clock=lambda: now)
    records = begun(tmp_path, settings.model_copy(update={"distill": 2}))
    first = student_of(records, small_parts, OnEvent(slow_down), limit=limit)
    assert first.config.until == first.state.step < first.config.steps
    if forgets:
        records.forget("student")
    again = student_of(BudgetedRecords.open(records.directory), small_parts)
    assert again.weights == first.weights


def test_a_finished_student_is_not_trained_further(tmp_path, settings, small_parts) -> None:
    """The state may have been written before the time limit changed the number of steps."""
    records = begun(tmp_path, settings.model_copy(update={"distill": 2}))
    first = student_of(records, small_parts)
    plan, state = records.training_run("student")
    config = plan.config.with_steps(2 * plan.config.steps)
    records.keep("student", replace(plan, config=config), state)
    records.change(settings.model_copy(update={"distill": 2, "student_steps": plan.config.steps}))
    again = student_of(BudgetedRecords.open(records.directory), small_parts)
    assert again.weights == first.weights


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"first": []}, "settings: first: "),
        ({"values": {"lr": []}}, "settings: values.lr: "),
        ({"rates": {"lr": -1}}, "settings: rates.lr: "),
        ({"values": {"lr": [0.01]}}, "settings: the space has no other valid genomes"),
    ],
)
def test_an_error_names_the_damaged_setting(tmp_path, settings, change, problem) -> None:
    facts = settings.model_dump(mode="json") | change
    with pytest.raises(RunError, match=f"run.json: {problem}"):
        BudgetedSettings.parse(facts, tmp_path)


def timed(folder, settings, parts, monkeypatch, slow: float):
    """Run a search that has time for its budget, but with evaluations `slow` times as long.

    Return its records, its outcome and the ratio of its duration to the time limit.
    """
    now, budgeted = 0.0, BudgetedObjective(parts, settings.text, settings.operations)

    def measure_slowly(self, rung, *args, **options):
        operations = budgeted.cost(rung.genome, 1)

        def train_slowly(*args, hooks, **options):
            def note(event) -> None:
                nonlocal now
                if event.val_loss is not None:
                    now += slow * 60 * operations / settings.budget

            return train(*args, hooks=[OnEvent(note), *hooks], **options)

        with monkeypatch.context() as patch:
            patch.setattr(objective, "train", train_slowly)
            return measure(self, rung, *args, **options)

    measure = BudgetedObjective.measure
    monkeypatch.setattr(BudgetedObjective, "measure", measure_slowly)
    monkeypatch.setattr(objective, "perf_counter", lambda: now)
    changes = {"minutes": 1.0, "operations_per_s": settings.budget / 60}
    records = begun(folder, settings.model_copy(update=changes))
    limit = TimeLimit(1.0, 0.0, reserve_s=0.0, clock=lambda: now)
    outcome = finished(records, parts, Threads(1), limit=limit)
    return BudgetedRecords.read(records.directory), outcome, now / 60


@pytest.mark.parametrize("slow", [0.9, 1.2, 2.0, 5.0, 12.0])
def test_a_search_respects_its_time_limit_and_can_be_repeated(
    tmp_path, settings, small_parts, monkeypatch, slow
) -> None:
    records, outcome, duration = timed(tmp_path, settings, small_parts, monkeypatch, slow)
    assert slow < 2 or records.settings.cuts
    assert 0.75 <= duration <= 1.1
    assert any(until == EVALUATIONS for _, until, *_ in outcome[2]) or slow > 10
    assert finished(begun(tmp_path, records.settings), small_parts, Threads(2)) == outcome
    path = records.directory / "evaluations.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))
    assert finished(BudgetedRecords.open(records.directory), small_parts, Threads(1)) == outcome
