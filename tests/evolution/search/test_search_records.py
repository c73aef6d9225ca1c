import json
from dataclasses import replace
from pathlib import Path

import pytest
from searches import SETTINGS, edit_evaluations

from microgpt_evolution.errors import RunError, raised_as
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives.scores import score_names
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.search.search_records import Records, SearchSettings


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


def test_a_record_contains_everything_about_its_evaluation(run) -> None:
    line = json.loads((run / "evaluations.jsonl").read_text().splitlines()[0])
    assert line.pop("genome") == {"steps": 200}
    assert len(line.pop("crc32")) == 8
    assert line == {
        "id": "g1-1", "origin": "random", "seed": 1, "status": "ok",
        "fitness": 2.25, "last_loss": 2.5, "val_loss": 2.25, "flops": 7, "n_params": 4192,
        "seconds": 0.5, "cpu_seconds": 0.25,
    }  # fmt: skip


def test_a_run_can_be_read_while_another_process_holds_it(run) -> None:
    with Records.open(run) as records:
        found = Records.read(run)
        assert Records.read(records.log).lines == found.lines
    assert found.settings == SETTINGS
    assert [(line.id, line.genome, line.flops) for line in found.lines] == [
        ("g1-1", PRIMORDIAL, 7), ("g1-2", PRIMORDIAL, 7)
    ]  # fmt: skip
    assert found.lines[0].evaluation == Evaluation("ok", 2.25, 2.5, 2.25)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"population": 0}, "settings: population: input should be"),
        ({"seed": None}, "settings: seed: input should be"),
        ({"warm_start": {"n_embd": 0}}, "settings: n_embd must be >= 1, got 0"),
        ({"fitness": None}, "settings: objective loss requires fitness"),
        ({"samples": 5}, "settings: samples is only for objective aesthetic or hydra"),
    ],
)
def test_an_error_names_the_damaged_setting(run, change, problem) -> None:
    facts = json.loads((run / "run.json").read_text())
    facts["settings"] |= change
    (run / "run.json").write_text(json.dumps(facts))
    with pytest.raises(RunError, match=rf"run\.json: {problem}"):
        Records.open(run)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"last_loss":2.5', '"last_loss":NaN', "line 1: last_loss: input should be a finite"),
        ('"steps":200', '"x":200', "line 1: unknown setting 'x'"),
        ('"steps":200', '"steps":0', "line 1: steps must be >= 1, got 0"),
    ],
)
def test_an_error_names_the_line_of_an_unusable_measurement(run, old, new, problem) -> None:
    edit_evaluations(run, old, new)
    with pytest.raises(RunError, match=problem):
        Records.open(run)
    edit_evaluations(run, new, old)
    Records.open(run).close()  # nobody holds it


def test_scores_and_samples_are_recorded(tmp_path) -> None:
    found = Evaluation("ok", samples=("mama",), scores=score_names(["mama"], set()))
    with Records.begin(tmp_path, "evolve", SETTINGS) as records:
        add(records, 1, found)
    assert Records.read(records.directory).known(Trial(PRIMORDIAL, 1)) == found


def test_settings_begin_with_the_known_options_only() -> None:
    facts = {"input": "names.txt", "data_sha256": "", "vocab_size": 9, "seed": 1}
    settings = SearchSettings.begin({"population": 4, "color": "red", "seed": 2}, **facts)
    assert (settings.population, settings.generations, settings.seed) == (4, 10, 1)


def test_a_plain_error_is_not_said_to_be_of_json() -> None:
    with pytest.raises(RunError, match=r"^why$"), raised_as(RunError):
        raise ValueError("why")
