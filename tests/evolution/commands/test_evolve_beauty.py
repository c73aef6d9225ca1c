import json
import re
from pathlib import Path

import pytest
from commands import ok
from searches import AESTHETIC, HYDRA, run_of, write_names

pytestmark = pytest.mark.usefixtures("undrawn")

OBJECTIVES = pytest.mark.parametrize("search", [HYDRA, AESTHETIC], ids=["hydra", "aesthetic"])


@pytest.fixture(autouse=True)
def names(request, tmp_path: Path) -> None:
    """A file of a few hundred made-up names, but where a directory is to be empty."""
    if "empty" not in request.node.name:
        write_names(tmp_path)


def genome_in(folder: Path) -> dict[str, object]:
    return json.loads((folder / "genome.json").read_text())


def test_the_head_option_chooses_the_champion_of_any_head(microgpt, tmp_path) -> None:
    for head in ("mirror", "spark"):  # the life cycle has the weaver
        done = microgpt("evolve", *HYDRA, "--head", head)  # another's genome is no rival
        genome = genome_in(tmp_path)
        assert genome["head"] == head
        assert score_of(done, head) == f"{genome['score']:.4f}"
        score = rf"^(.) g\d.*{head.title()} (-?\d\.\d{{4}})"
        means = {float(mean): mark for mark, mean in re.findall(score, done.stdout, re.MULTILINE)}
        assert len(means) > 1
        assert means[max(means)] == ">"


def score_of(done, measure: str) -> str:
    """Return what the winner has come to with fresh seeds."""
    return re.search(rf"{measure.title()} \(score\) +\S+ +(\S+) ± \S+ \(95%, n=3\)", done.stdout)[1]


def test_the_final_score_is_the_retested_judge_score(searched) -> None:
    done, folder = searched(*HYDRA)
    genome = genome_in(folder)
    assert "head" not in genome
    assert score_of(done, "judge") == f"{genome['score']:.4f}"


def test_a_finished_search_that_is_resumed_says_so(microgpt, tmp_path) -> None:
    ok(microgpt("evolve", *AESTHETIC))
    run = run_of(tmp_path)
    done = microgpt("evolve", "--resume", run.name)
    assert done.stderr == (
        f"error: {run.name} does not exist; did you mean experiments/{run.name}?\n"
    )
    assert "note: the search had finished" in ok(microgpt("evolve", "--resume", run)).stderr


@OBJECTIVES
def test_a_better_genome_is_kept_only_if_it_is_of_the_same_kind(
    microgpt, searched, tmp_path, search
) -> None:
    path, found = tmp_path / "genome.json", genome_in(searched(*search)[1])
    path.write_text(json.dumps({**found, "score": 99.0}))
    done = ok(microgpt("evolve", *search))
    kept = "genome.json was kept, because it is as good or better; pass --force to replace it"
    assert kept in done.stderr
    assert genome_in(tmp_path)["score"] == 99.0
    path.write_text(json.dumps({**found, "objective": "loss", "val_loss": 0.1, "score": 99.0}))
    microgpt("evolve", *search)
    assert genome_in(tmp_path) == found
