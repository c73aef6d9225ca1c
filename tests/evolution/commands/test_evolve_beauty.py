import json
import re
from pathlib import Path

import pytest
from commands import ok, refused
from searches import AESTHETIC, HYDRA, contents, run_of

pytestmark = pytest.mark.usefixtures("undrawn", "made_up_names")


def genome_in(folder: Path) -> dict[str, object]:
    return json.loads((folder / "genome.json").read_text())


def score_of(done, measure: str) -> str:
    """Return what the winner has come to with fresh seeds."""
    return re.search(rf"{measure.title()} \(score\) +\S+ +(\S+) ± \S+ \(95%, n=3\)", done.stdout)[1]


def test_the_final_score_is_the_retested_judge_score(searched) -> None:
    done, folder = searched(*HYDRA)
    genome = genome_in(folder)
    assert "head" not in genome
    assert score_of(done, "judge") == f"{genome['score']:.4f}"


def test_a_finished_search_changes_only_with_more_generations(microgpt, tmp_path) -> None:
    ok(microgpt("evolve", *AESTHETIC))
    run, whole = run_of(tmp_path), contents(tmp_path)
    error = refused(microgpt("evolve", "--resume", run.name))
    assert error.startswith(f"{run.name} is not a study: ")
    assert "so nothing changed" in ok(microgpt("evolve", "--resume", run)).stderr
    assert "pass more" in refused(microgpt("evolve", "--resume", run, "--generations", "1"))
    again = microgpt("evolve", "--resume", run, "--generations", "2")
    assert "so nothing changed" in ok(again).stderr
    assert contents(tmp_path) == whole
    done = ok(microgpt("evolve", "--resume", run, "--generations", "4"))
    assert "note: 2 generations more than the 2 so far" in done.stderr
    genome = (tmp_path / "genome.json").read_bytes()
    (tmp_path / "genome.json").unlink()
    ok(microgpt("evolve", *AESTHETIC[:5], "4", *AESTHETIC[6:]))
    assert (tmp_path / "genome.json").read_bytes() == genome
