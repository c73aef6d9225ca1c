import json
from pathlib import Path

import pytest

from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives.trial import Trial
from microgpt_evolution.population import Evaluation
from microgpt_evolution.runs.records import Records, read_recorded


@pytest.fixture
def records(tmp_path: Path):
    """A run that goes on, with one evaluation."""
    with Records.begin(tmp_path / "runs", "evolve", {"objective": "loss"}) as records:
        trial = Trial(PRIMORDIAL, 7, "g1-1", "random", ("g0-0",))
        evaluation = Evaluation("ok", 2.25, 2.5, 2.25, seconds=0.5, cpu_seconds=0.25)
        records.add(trial, evaluation, flops=9, n_params=4192)
        yield records


def test_a_run_is_read_while_another_process_holds_it(records) -> None:
    run = read_recorded(records.directory)
    (entry,) = run.entries
    assert (run.settings, run.is_imported) == ({"objective": "loss"}, False)
    assert (entry.id, entry.origin, entry.parents, entry.seed) == ("g1-1", "random", ("g0-0",), 7)
    assert (entry.genome, entry.flops, entry.seconds) == (PRIMORDIAL, 9, 0.5)
    assert entry.evaluation == Evaluation("ok", 2.25, 2.5, 2.25)
    assert read_recorded(records.log) == run


def test_a_line_that_is_just_being_written_is_left_out_and_stays(records) -> None:
    path = records.directory / "evaluations.jsonl"
    before = path.read_bytes() + b'{"id": "g1-2", "ori'
    path.write_bytes(before)
    assert len(read_recorded(records.directory).entries) == 1
    assert path.read_bytes() == before


def test_a_run_without_evaluations_has_nothing_to_tell(tmp_path) -> None:
    with Records.begin(tmp_path, "evolve", {}) as records:
        pass
    with pytest.raises(RunError, match="has no evaluations yet; try again later"):
        read_recorded(records.directory)


def test_what_is_no_run_of_evolution_is_refused(tmp_path) -> None:
    with pytest.raises(RunError, match=r"is not a run: cannot read run\.json: No such file"):
        read_recorded(tmp_path)
    run = {"version": 1, "created_by": "", "created_at": "", "settings": {"sweep": "steps"}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(RunError, match="is a sweep, not a search"):
        read_recorded(tmp_path)
