import csv
from pathlib import Path

import pytest
from json_files import edit
from searches import SETTINGS as SEARCH
from searches import edit_evaluations

from microgpt_evolution.budgeted.budgeted_records import BudgetedRecords
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_evolution.search.search_records import Records
from microgpt_evolution.sweep.sweep_records import SweepRecords, SweepSettings

SETTINGS = SweepSettings(
    sweep="steps",
    genomes=(Genome(steps=1000), Genome(steps=3000)),
    seeds=(42, 43),
    input="/names.txt",
    data_sha256="abc",
)


def result(n_steps=1000, seed=42, **outcome) -> TrialRecord:
    losses = {"status": "ok", "val_loss": 2.25, "last_loss": 2.5, "train_loss": 2.3}
    return TrialRecord(
        genome=Genome(steps=n_steps), seed=seed, n_params=4192, flops=7, **(outcome or losses)
    )


def add(records: SweepRecords, n_steps=1000, seed=42, status="ok", reason="") -> None:
    losses = {"val_loss": 2.25, "last_loss": 2.5, "train_loss": 2.3} if status == "ok" else {}
    evaluation = Evaluation(status, reason=reason, **losses)
    records.add(Trial(Genome(steps=n_steps), seed), evaluation, flops=7, n_params=4192)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a sweep of four training runs, of which two have been made."""
    with SweepRecords.begin(tmp_path, "sweep", SETTINGS) as records:
        add(records, 3000)
        add(records, seed=43)
    return records.directory


def test_recorded_points_are_reused_and_the_rest_is_trained(run) -> None:
    with SweepRecords.open(run) as records:
        assert records.known(Trial(Genome(steps=3000), 42)) == result(3000).evaluation
        assert records.todo() == [
            Trial(Genome(steps=1000), 42), Trial(Genome(steps=3000), 43),
        ]  # fmt: skip
        assert records.n_known == 2


def test_results_are_returned_in_the_order_of_the_sweep(run) -> None:
    records = SweepRecords.read(run)
    sweep, results = records.settings, records.results
    assert sweep == SETTINGS
    assert results == [result(seed=43), result(3000)]


@pytest.mark.parametrize(
    ("status", "is_known"), [("diverged", True), ("crashed", False), ("refused", False)]
)
def test_failures_that_depend_on_the_machine_are_tried_again(run, status, is_known) -> None:
    with SweepRecords.open(run) as records:
        add(records, status=status, reason="why")
    with SweepRecords.open(run) as records:
        assert (Trial(Genome(steps=1000), 42) not in records.todo()) == is_known
        add(records)
    results = SweepRecords.read(run).results
    assert results[0] == result()  # the last line counts


def test_the_table_has_a_row_for_each_training_run(run) -> None:
    with SweepRecords.open(run) as records:
        add(records, status="refused", reason="it is large, and more")
        records.write_table()
    with (run / "evaluations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["steps"], row["seed"], row["status"], row["val_loss"]) for row in rows] == [
        ("1000", "42", "refused", ""), ("1000", "43", "ok", "2.25"), ("3000", "42", "ok", "2.25"),
    ]  # fmt: skip
    assert rows[0]["reason"] == "it is large, and more"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('{"genome"', "nonsense", "line 1: invalid JSON: .*; remove the line and resume"),
        ('"steps":3000', '"n_head":5', r"line 1: n_embd \(16\) must be divisible by n_head \(5\)"),
        ('"flops":7.0', '"flops":null', "line 1: flops: input should be"),
    ],
)
def test_an_error_names_the_damaged_line_of_a_record(run, old, new, problem) -> None:
    edit_evaluations(run, old, new)
    for read in (SweepRecords.open, SweepRecords.read):
        with pytest.raises(RunError, match=problem):
            read(run)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"genomes": []}, r"settings: genomes: "),
        ({"seeds": [-1]}, r"settings: seeds\[0\]: "),
        ({"sweep": "all"}, r"settings: sweep: "),
        ({"genomes": [{"n_embd": 30}]}, r"settings: n_embd \(30\) must be divisible"),
    ],
)
def test_an_error_names_the_damaged_setting(run, change, problem) -> None:
    edit(run / "run.json", settings=change)
    for read in (SweepRecords.open, SweepRecords.read):
        with pytest.raises(RunError, match=problem):
            read(run)


def test_opening_a_search_as_a_sweep_is_refused(tmp_path, run) -> None:
    with Records.begin(tmp_path, "evolve", SEARCH) as search:
        pass
    with pytest.raises(RunError, match="is a search, not a sweep; resume it with: microgpt evolve"):
        SweepRecords.open(search.directory)
    with pytest.raises(RunError, match="is a search, not a sweep"):
        SweepRecords.read(search.directory)
    with pytest.raises(RunError, match="is a search, not a search with a budget; resume it with"):
        BudgetedRecords.open(search.directory)
    with pytest.raises(RunError, match="is a sweep, not a search; resume it with: microgpt sweep"):
        Records.open(run)
