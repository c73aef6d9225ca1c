"""Tests that neither workers nor interruptions change the result of a search."""

import pytest
from searches import AESTHETIC, HYDRA, SMALL, begin, evaluations_of, log_of, run_of

from microgpt import n_cpus

pytestmark = [pytest.mark.compiled, pytest.mark.usefixtures("undrawn", "made_up_names")]

OBJECTIVES = pytest.mark.parametrize(
    "search", [SMALL, AESTHETIC, HYDRA], ids=["loss", "aesthetic", "hydra"]
)


@OBJECTIVES
def test_a_search_prints_its_log_and_at_most_ten_progress_lines(searched, search) -> None:
    done, folder = searched(*search)
    run = run_of(folder)
    first, log = done.stdout.split("\n", 1)
    assert first.endswith(f"; run: experiments/{run.name}")
    lines = [line for line in log.splitlines() if " saved to genome.json" not in line]
    assert lines == log_of(run).splitlines()
    assert sum(" % | " in line for line in done.stderr.splitlines()) <= 10
    assert "organism g" not in done.stderr


@OBJECTIVES
def test_the_number_of_workers_does_not_change_the_result(
    microgpt, searched, tmp_path, search
) -> None:
    _, folder = searched(*search)
    microgpt("evolve", *search, "--workers", str(n_cpus() + 1))
    assert (tmp_path / "genome.json").read_bytes() == (folder / "genome.json").read_bytes()
    first, second = run_of(folder), run_of(tmp_path)
    assert evaluations_of(second) == evaluations_of(first)
    assert log_of(second) == log_of(first)


@pytest.mark.parametrize("search", [SMALL, HYDRA])
def test_a_killed_search_resumes_to_the_same_result(microgpt, searched, tmp_path, search) -> None:
    _, folder = searched(*search)
    whole = run_of(folder)
    until = "Generation 3/" if search == HYDRA else "Generation 1/"  # after HYDRA's first migration
    process = begin(tmp_path, *search, until=until)
    process.kill()
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert not (tmp_path / "genome.json").exists()
    run = run_of(tmp_path)
    assert 0 < len((run / "trials.jsonl").read_text().splitlines()) < len(evaluations_of(whole))
    with (run / "trials.jsonl").open("a") as file:
        file.write('{"id": "torn')  # as after a kill during a write
    assert microgpt("evolve", "--resume", f"experiments/{run.name}").returncode == 0
    assert (tmp_path / "genome.json").read_bytes() == (folder / "genome.json").read_bytes()
    assert evaluations_of(run) == evaluations_of(whole)
    assert log_of(run) == log_of(whole)
