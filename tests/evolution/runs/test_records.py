import json
from dataclasses import replace
from pathlib import Path

import pytest
from searches import SETTINGS, edit_evaluations

from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives.scores import score_names
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.population import Evaluation
from microgpt_evolution.search.records import Records


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a run with two evaluations."""
    with Records.begin(tmp_path / "runs", "evolve", SETTINGS) as records:
        add(records, 1, Evaluation("ok", 2.25, 2.5, 2.25))
        add(records, 2, Evaluation("diverged"))
    return records.directory


def add(records: Records, seed: int, evaluation: Evaluation) -> None:
    trial = Trial(PRIMORDIAL, seed, f"g1-{seed}", "random")
    evaluation = replace(evaluation, seconds=0.5, cpu_seconds=0.25)
    records.add(trial, evaluation, flops=7, n_params=4192)


def test_recorded_evaluations_are_reused(run) -> None:
    with Records.open(run) as records:
        assert records.settings == SETTINGS
        assert records.known(Trial(PRIMORDIAL, 1)) == Evaluation("ok", 2.25, 2.5, 2.25)
        assert records.known(Trial(PRIMORDIAL, 2)) == Evaluation("diverged")
        assert records.known(Trial(PRIMORDIAL, 3)) is None
        assert records.n_known == 2


def test_a_line_has_everything_about_its_evaluation(run) -> None:
    line = json.loads((run / "evaluations.jsonl").read_text().splitlines()[0])
    assert line.pop("genome")["n_emb"] == 16
    assert len(line.pop("crc32")) == 8
    assert line == {
        "id": "g1-1", "origin": "random", "parents": [], "seed": 1, "status": "ok",
        "fitness": 2.25, "last_loss": 2.5, "val_loss": 2.25, "flops": 7, "seconds": 0.5,
        "cpu_seconds": 0.25,
    }  # fmt: skip


def test_an_incomplete_last_line_is_skipped_before_an_append(run) -> None:
    with (run / "evaluations.jsonl").open("ab") as file:
        file.write(b'{"id": "torn')
    with Records.open(run) as records:
        add(records, 3, Evaluation("crashed"))
    with Records.open(run) as records:
        assert records.n_known == 3


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "line 2: crc32 differs, .*; remove the line and resume the run"),
        ("{}", "line 2: crc32 differs"),
        ("\x00\x00", "line 2: crc32 differs"),
    ],
)
def test_an_error_names_the_damaged_line(run, line, problem) -> None:
    path = run / "evaluations.jsonl"
    first, second, _ = path.read_text().split("\n")
    path.write_text(f"{first}\n{line}\n{second}\n")
    with pytest.raises(RunError, match=problem):
        Records.open(run)
    path.write_text(f"{first}\n{second}\n")
    Records.open(run).close()  # nobody holds it


def test_an_error_names_the_line_of_an_impossible_genome(run) -> None:
    edit_evaluations(run, '"n_head":4', '"n_head":5')
    with pytest.raises(RunError, match=r"line 1: n_emb \(16\) must be divisible by n_head \(5\)"):
        Records.open(run)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"fitness":2.25', '"fitness":null', "line 1: fitness is missing; remove the line"),
        ('"fitness":2.25', '"fitness":1e308', r"line 1: a loss exceeds 1e\+300"),
        ('"last_loss":2.5', '"last_loss":NaN', "line 1: last_loss: input should be a finite"),
        ('"val_loss":2.25', '"val_loss":-1e999', "line 1: val_loss: input should be a finite"),
        ('"lr":0.005', '"x":0.005', r"line 1: genome\.lr: field required"),
    ],
)
def test_an_error_names_an_unusable_measurement(run, old, new, problem) -> None:
    edit_evaluations(run, old, new)
    with pytest.raises(RunError, match=problem):
        Records.open(run)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"vote":{', '"v":{', "line 1: vote is missing; remove the line"),
        ('"judge":', '"jury":', "line 1: vote lacks judge"),
        ('"origin":0', '"oregano":0', "line 1: vote lacks origin"),
        ('"mirror":', '"mirror":Infinity,"m":', "line 1: vote.scores.mirror: input should be a"),
        (
            '"novel":',
            '"novel":1e308,"n":',
            r"line 1: vote\.novel must be between 0 and 1, got",
        ),
    ],
)
def test_an_error_names_an_unusable_vote(tmp_path, old, new, problem) -> None:
    settings = SETTINGS.model_copy(
        update={"objective": "hydra", "fitness": None, "samples": 5, "exchange": "migrate"}
        | {"origin": True}
    )
    with Records.begin(tmp_path, "evolve", settings) as records:
        opinion = score_names(["mama"], set(), loss=2.0)
        add(records, 1, Evaluation("ok", samples=("mama",), scores=opinion))
    with Records.open(records.directory):
        pass
    edit_evaluations(records.directory, old, new)
    with pytest.raises(RunError, match=problem):
        Records.open(records.directory)
