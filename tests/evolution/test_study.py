"""Tests of studies, the directories with the settings and trials of searches and sweeps."""

import json
import zlib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from json_files import edit
from killed_saves import killed_saves
from searches import PARTS, SETTINGS, edit_evaluations

from microgpt.errors import CheckpointError
from microgpt_evolution.evolution_errors import StudyError
from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.objectives.aesthetic_judge import score_names
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.study import Study, open_in_python
from microgpt_evolution.study_settings import BudgetedSettings, SearchSettings, SweepSettings
from microgpt_evolution.trial import Evaluation, Trial, TrialRecord, read_trials, with_checksum
from microgpt_evolution.workers import Threads

TRIAL = Trial(PRIMORDIAL, 7, "g1-1", "random")
CONFIGS = (Genome(n_embd=8, n_head=2, steps=20), Genome(n_embd=8, n_head=2, steps=40))
SWEEP = SweepSettings(genomes=CONFIGS, seeds=(42, 43), input="/names.txt", data_sha256="")
TRIALS = SWEEP.trials
MEASURED = Evaluation("ok", 2.25, 2.5, 2.25)


def add(study: Study, trial: Trial = TRIAL, evaluation: Evaluation = MEASURED) -> None:
    study.add(trial, replace(evaluation, seconds=0.5), flops=7, n_params=4192)


def measured(record: TrialRecord) -> Evaluation:
    """Return the evaluation that a trial record contains."""
    return Evaluation(**{each.name: getattr(record, each.name) for each in fields(Evaluation)})


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """The directory of a new search."""
    with Study.begin(tmp_path / "studies", "evolve", SETTINGS) as study:
        return study.directory


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    """The directory of a sweep in which two of four training runs have ended."""
    with Study.begin(tmp_path, "sweep", SWEEP) as study:
        add(study, TRIALS[2])
        add(study, TRIALS[1])
    return study.directory


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"version": 5, "runs": []}', "version is 5, but this microgpt reads only 8; use the"),
        ('{"version": 8}', "kind"),
        ("[]", "settings.json: kind must be one of search, "),
        ('{"version": 8, "kind": {}}', "kind must be one of search, "),
        ("[" * 100_000, "settings.json: invalid JSON"),
        ("\xff", "settings.json: it is not UTF-8 text"),
    ],
)
def test_an_unreadable_study_is_refused(begun, content, problem) -> None:
    (begun / "settings.json").write_text(content, encoding="latin-1")
    with pytest.raises(StudyError, match=problem):
        Study(begun, SearchSettings, is_locked=True)


def test_a_model_or_a_study_of_another_kind_is_refused(begun, swept, tmp_path) -> None:
    (tmp_path / "meta.json").touch()
    with pytest.raises(StudyError, match="is a model, not a study; see it with: microgpt info"):
        Study(tmp_path, SearchSettings, is_locked=True)
    for directory, kind, problem in (
        (begun, SweepSettings, "a search, not a sweep; resume it with: microgpt evolve --resume"),
        (begun, BudgetedSettings, "a search, not a search with a budget; resume it with"),
        (swept, SearchSettings, "a sweep, not a search; resume it with: microgpt sweep resume"),
    ):
        with pytest.raises(StudyError, match=f"is {problem}"):
            Study(directory, kind)


def test_a_study_in_use_is_locked_but_can_be_read(tmp_path) -> None:
    with Study.begin(tmp_path, "evolve", SETTINGS) as study:
        add(study)
        with pytest.raises(CheckpointError, match=r"evolve_\S+ is being searched by process \d+"):
            Study(study.directory, SearchSettings, is_locked=True)
        found = Study(study.directory, SearchSettings)
        with pytest.raises(CheckpointError, match="is being searched by process"):
            Study.begin(tmp_path, study.directory.name, SETTINGS, is_stamped=False)
    assert [(each.id, measured(each)) for each in found.records] == [("g1-1", MEASURED)]


def test_a_file_in_place_of_the_directory_of_studies_is_refused(tmp_path) -> None:
    (tmp_path / "experiments").write_text("mine")
    with pytest.raises(StudyError, match=r"experiments: it is not a directory; rename it"):
        Study.begin(tmp_path / "experiments", "evolve", SETTINGS)
    assert (tmp_path / "experiments").read_text() == "mine"


def test_a_study_that_cannot_be_created_leaves_no_files(tmp_path, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        Study.begin(tmp_path, "evolve", SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_a_complete_study_or_nothing(tmp_path, monkeypatch) -> None:
    def begin(folder: Path) -> None:
        with Study.begin(folder, "evolve", SETTINGS):
            pass

    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    (tmp_path / "before").mkdir()
    for folder in killed_saves(tmp_path / "before", begin):
        left = [*folder.glob("evolve_*")]
        for path in left:  # an interrupted study can be opened
            with Study(path, SearchSettings, is_locked=True):
                pass
        with Study.begin(folder, "evolve", SETTINGS) as study:
            assert {*folder.iterdir()} == {study.directory, *left}


def test_any_change_to_a_record_is_detected(begun) -> None:
    path = begun / "trials.jsonl"
    record = b'{"status":"ok","fitness":2.25,"genome":{},"seed":1,"n_params":1,"flops":1.0}'
    path.write_bytes(with_checksum(record) * 2)
    assert len(read_trials(begun)[0]) == 2
    first, second = path.read_text().splitlines()
    edited = json.loads(second) | {"fitness": 2.24}
    without = {key: value for key, value in edited.items() if key != "crc32"}
    for changed in (
        second.replace("2.25", "2.24"),
        second[:-3] + "x" + second[-2:],
        json.dumps(edited),
        json.dumps({"crc32": edited["crc32"], **without}),
        json.dumps(without),
        second.replace("2.25", "2.24").replace("crc32", "crc\\u00332"),
        "nonsense",
        "{}",
        "\x00\x00",
    ):
        path.write_text(f"{first}\n{changed}\n")
        with pytest.raises(StudyError, match=r"line 2: crc32 differs, so .*; remove the line"):
            read_trials(begun)


def test_an_incomplete_last_line_of_the_records_is_skipped(begun) -> None:
    path = begun / "trials.jsonl"
    path.write_bytes(b'{"id": "torn')
    assert Study(begun, SearchSettings).records == ()
    assert path.read_bytes() == b'{"id": "torn'  # reading did not change the file
    with Study(begun, SearchSettings, is_locked=True) as study:
        add(study, evaluation=Evaluation("crashed"))
    assert len(Study(begun, SearchSettings).records) == 1


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('{"status"', "nonsense", "line 1: invalid JSON: .*; remove the line and resume"),
        ('"steps":40', '"n_head":5', r"line 1: n_embd \(8\) must be divisible by n_head \(5\)"),
        ('"flops":7.0', '"flops":null', "line 1: flops: input should be"),
        ('"last_loss":2.5', '"last_loss":NaN', "line 1: last_loss: input should be a finite"),
    ],
)
def test_an_invalid_record_is_reported_by_line_and_can_be_fixed(swept, old, new, problem) -> None:
    edit_evaluations(swept, old, new)
    for is_locked in (True, False):
        with pytest.raises(StudyError, match=problem):
            Study(swept, SweepSettings, is_locked=is_locked)
    edit_evaluations(swept, new, old)
    with Study(swept, SweepSettings, is_locked=True):  # can be opened, because no lock was left
        pass


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("swept", {"genomes": []}, "genomes: "),
        ("swept", {"seeds": [-1]}, r"seeds\[0\]: "),
        ("swept", {"genomes": [{"n_embd": 30}]}, r"n_embd \(30\) must be divisible"),
        ("begun", {"seed": None}, "seed: "),
        ("begun", {"fitness": None}, "objective loss requires fitness"),
        ("begun", {"head": "spark"}, "head is only for objective hydra"),
    ],
)
def test_damaged_settings_of_a_study_are_named_in_the_error(request, name, change, problem) -> None:
    directory = request.getfixturevalue(name)
    edit(directory / "settings.json", **change)
    kind = SweepSettings if name == "swept" else SearchSettings
    for is_locked in (True, False):
        with pytest.raises(StudyError, match=rf"settings\.json: {problem}"):
            Study(directory, kind, is_locked=is_locked)


def test_the_checksum_of_a_record_covers_the_rest_of_its_line() -> None:
    line = json.loads(with_checksum('{"id":"g1-1","names":["ä"]}'.encode()))
    checksum = line.pop("crc32")
    content = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()
    assert checksum == f"{zlib.crc32(content):08x}"


def test_a_record_contains_the_genome_seed_and_losses_of_its_trial(begun) -> None:
    with Study(begun, SearchSettings, is_locked=True) as study:
        add(study)
    line = json.loads((begun / "trials.jsonl").read_text())
    assert line.pop("genome") == {"steps": 200}
    assert len(line.pop("crc32")) == 8
    assert line == {
        "id": "g1-1", "origin": "random", "seed": 7, "status": "ok", "fitness": 2.25,
        "last_loss": 2.5, "val_loss": 2.25, "flops": 7, "n_params": 4192,
        "seconds": 0.5,
    }  # fmt: skip


def test_a_reopened_study_returns_the_recorded_evaluations(begun) -> None:
    scored = Evaluation("ok", samples=("mama",), scores=score_names(["mama"], set()))
    found = {1: MEASURED, 2: Evaluation("diverged"), 3: scored}
    with Study(begun, SearchSettings, is_locked=True) as study:
        add(study, Trial(PRIMORDIAL, 1, "g1-1"), Evaluation("crashed"))  # replaced by a later one
        for seed, evaluation in found.items():
            add(study, Trial(PRIMORDIAL, seed, f"g1-{seed}"), evaluation)
    study = Study(begun, SearchSettings)
    assert {seed: measured(study.record_of(Trial(PRIMORDIAL, seed))) for seed in found} == found
    assert study.record_of(Trial(PRIMORDIAL, 4)) is None


def test_an_ended_study_changes_only_if_it_is_extended(begun) -> None:
    def contents() -> dict[str, tuple[bytes, int]]:
        return {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in begun.iterdir()}

    with Study(begun, SearchSettings, is_locked=True) as study:
        assert not study.has_ended
        add(study)
        study.end()
    ended = contents()
    with Study(begun, SearchSettings, is_locked=True) as study:
        assert study.has_ended
        study.end()
    assert contents() == ended
    more = SETTINGS.model_copy(update={"generations": 5})
    with open_in_python(begun, more) as (study, _):
        assert study.settings == more
        assert not study.has_ended
    again = Study(begun, SearchSettings)
    assert again.settings == more.model_copy(update={"n_trials": 1})
    assert measured(again.record_of(TRIAL)) == MEASURED


def test_recorded_trials_are_reused_and_long_trials_run_first(tmp_path: Path) -> None:
    small = Genome(n_embd=8, block_size=4, n_layer=1, n_head=2, n_ff_exp=2, steps=60, lr=0.02)
    objective = LossObjective(PARTS)
    trials = [Trial(small, 1, "g1-1"), Trial(replace(small, steps=70), 2, "g1-2")]
    made: list[int] = []
    with Study.begin(tmp_path, "evolve", SETTINGS) as study, Threads(1) as workers:
        found = study.measure(trials, objective, workers, lambda i, evaluation: made.append(i))
        assert [evaluation.status for evaluation in found] == ["ok", "ok"]
        assert measured(found[0]) == objective.measure(trials[0])
        assert study.measure(trials, objective, workers) == found
    assert made == [1, 0]
