import json
from pathlib import Path

import pytest
from searches import SETTINGS

from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.population import Evaluation
from microgpt_evolution.search.records import Records, read_search


@pytest.fixture
def records(tmp_path: Path):
    """A run that goes on, with one evaluation."""
    with Records.begin(tmp_path / "runs", "evolve", SETTINGS) as records:
        trial = Trial(PRIMORDIAL, 7, "g1-1", "random", ("g0-0",))
        evaluation = Evaluation("ok", 2.25, 2.5, 2.25, seconds=0.5, cpu_seconds=0.25)
        records.add(trial, evaluation, flops=9, n_params=4192)
        yield records


def test_a_run_can_be_read_while_another_process_holds_it(records) -> None:
    run = read_search(records.directory)
    (entry,) = run.lines
    assert run.settings == SETTINGS
    assert (entry.id, entry.origin, entry.parents, entry.seed) == ("g1-1", "random", ("g0-0",), 7)
    assert (entry.genome, entry.flops, entry.seconds) == (PRIMORDIAL, 9, 0.5)
    assert entry.evaluation == Evaluation("ok", 2.25, 2.5, 2.25)
    assert read_search(records.log) == run


def test_a_line_that_is_being_written_is_skipped_and_kept(records) -> None:
    path = records.directory / "evaluations.jsonl"
    before = path.read_bytes() + b'{"id": "g1-2", "ori'
    path.write_bytes(before)
    assert len(read_search(records.directory).lines) == 1
    assert path.read_bytes() == before


def test_a_run_without_evaluations_is_an_error(tmp_path) -> None:
    with Records.begin(tmp_path, "evolve", SETTINGS) as records:
        pass
    with pytest.raises(RunError, match="has no evaluations yet; try again later"):
        read_search(records.directory)


def test_a_directory_that_is_no_run_is_refused(tmp_path) -> None:
    with pytest.raises(RunError, match=r"is not a run: cannot read run\.json: No such file"):
        read_search(tmp_path)
    run = {"version": 1, "created_by": "", "created_at": "", "settings": {"sweep": "steps"}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(RunError, match="is a sweep, not a search"):
        read_search(tmp_path)
