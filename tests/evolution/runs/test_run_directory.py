"""Any kind of run is a directory like this; those here are of searches."""

import json
import zlib
from pathlib import Path

import pytest
from killed_saves import killed_saves
from searches import SETTINGS

from microgpt.errors import CheckpointError
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.organism import Evaluation, Trial
from microgpt_evolution.runs.run_files import whole_lines, with_checksum
from microgpt_evolution.search.search_records import Records


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a run that has just begun."""
    with Records.begin(tmp_path / "runs", "evolve", SETTINGS) as records:
        return records.directory


def test_a_run_can_be_opened_by_the_path_of_its_log(run) -> None:
    with Records.open(run.with_name(f"{run.name}.log")) as records:
        assert records.directory == run


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"version": 2, "runs": []}', "version is 2, but this microgpt reads only 3; use the"),
        ('{"version": 3}', "created_by: field required"),
        ("[]", "run.json: input should be"),
        ("[" * 100_000, "run.json: invalid JSON"),
        ("\xff", "run.json: it is not UTF-8 text"),
    ],
)
def test_an_unreadable_run_is_refused(run, content, problem) -> None:
    (run / "run.json").write_text(content, encoding="latin-1")
    with pytest.raises(RunError, match=problem):
        Records.open(run)


def test_a_directory_that_is_not_a_run_is_refused(tmp_path) -> None:
    with pytest.raises(RunError, match=r"is not a run: cannot read run.json: No such"):
        Records.open(tmp_path)


def test_a_run_cannot_be_opened_while_its_search_is_running(tmp_path) -> None:
    with (
        Records.begin(tmp_path, "evolve", SETTINGS) as records,
        pytest.raises(CheckpointError, match=r"evolve_\S+ is being searched by process \d+ on"),
    ):
        Records.open(records.directory)
    with Records.open(records.directory) as again:
        assert again.settings == SETTINGS


def test_a_file_in_place_of_the_runs_directory_is_refused(tmp_path) -> None:
    (tmp_path / "experiments").write_text("mine")
    with pytest.raises(RunError, match=r"experiments: it is not a directory; rename it"):
        Records.begin(tmp_path / "experiments", "evolve", SETTINGS)
    assert (tmp_path / "experiments").read_text() == "mine"


def test_a_run_that_cannot_be_created_leaves_no_files(tmp_path, monkeypatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        Records.begin(tmp_path, "evolve", SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_a_complete_run_or_nothing(tmp_path) -> None:
    def begin(folder: Path) -> None:
        Records.begin(folder, "evolve", SETTINGS).close()

    (tmp_path / "before").mkdir()
    for folder in killed_saves(tmp_path / "before", begin):
        begun = [*folder.glob("evolve_*")]
        for path in begun:  # it can go on
            Records.open(path).close()
        with Records.begin(folder, "evolve", SETTINGS) as records:
            assert {*folder.iterdir()} == {records.directory, *begun}


def test_any_change_to_a_record_is_detected(run) -> None:
    path = run / "evaluations.jsonl"
    path.write_bytes(with_checksum(b'{"id":"g1-1","loss":2.25}') * 2)
    assert len(whole_lines(run)) == 2
    first, second = path.read_text().splitlines()
    edited = json.loads(second) | {"loss": 2.24}
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
        with pytest.raises(RunError, match=r"line 2: crc32 differs, so .*; remove the line"):
            whole_lines(run)


def test_an_incomplete_last_line_of_the_records_is_skipped(run) -> None:
    path, trial = run / "evaluations.jsonl", Trial(PRIMORDIAL, 7, "g1-1", "random")
    path.write_bytes(b'{"id": "torn')
    assert Records.read(run).lines == ()
    assert path.read_bytes() == b'{"id": "torn'  # who only reads leaves it alone
    with Records.open(run) as records:
        records.add(trial, Evaluation("crashed"), flops=1, n_params=1)
    assert len(Records.read(run).lines) == 1


def test_the_last_line_recorded_for_an_evaluation_counts(run) -> None:
    with Records.open(run) as records:
        trial = Trial(PRIMORDIAL, 7, "g1-1", "random")
        for loss in (2.5, 2.25):
            records.add(trial, Evaluation("ok", loss, val_loss=loss), flops=1, n_params=1)
    assert [line.val_loss for line in Records.read(run).lines] == [2.25]


def test_the_checksum_covers_the_rest_of_its_line() -> None:
    line = json.loads(with_checksum('{"id":"g1-1","names":["ä"]}'.encode()))
    checksum = line.pop("crc32")
    content = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()
    assert checksum == f"{zlib.crc32(content):08x}"
