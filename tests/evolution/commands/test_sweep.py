import re
import signal
from collections import Counter

import pytest
from commands import ok, refused
from json_files import edit
from searches import contents, evaluations_of, run_of

from microgpt import count

pytestmark = pytest.mark.usefixtures("undrawn", "made_up_names")

NAMES = ("--data", "names.txt")
GRID = ("grid", "--vary", "n_embd=8,16", "--vary", "steps=30,60", *NAMES, "--seed", "5")


def test_a_grid_sweep_trains_each_combination_with_each_seed(microgpt, tmp_path) -> None:
    done = microgpt("sweep", *GRID)
    run = run_of(tmp_path)
    assert done.returncode == 0, done.stderr
    header, first, second, *_ = done.stdout.splitlines()
    assert re.fullmatch(r"12 training runs of 4 models, \d+ in parallel", header)
    assert first.startswith("12 of 12 training runs completed; ran 12 in ")
    assert second == f"Saved to experiments/{run.name}"
    results = evaluations_of(run)
    assert sorted({line["seed"] for line in results}) == [5, 6, 7]
    assert {(line["genome"].get("n_embd", 16), line["genome"]["steps"]) for line in results} == {
        (n_embd, steps) for n_embd in (8, 16) for steps in (30, 60)
    }


def test_an_interrupted_sweep_resumes_with_the_same_results(microgpt, tmp_path, stopped_in) -> None:
    microgpt("sweep", *GRID)
    whole = run_of(tmp_path).rename(tmp_path / "whole")
    with stopped_in(4, signal.SIGINT):
        done = microgpt("sweep", *GRID, "--workers", "1")
    run = run_of(tmp_path)
    n_made = (run / "trials.jsonl").read_text().count("\n")
    assert (done.returncode, 0 < n_made < 12) == (130, True)
    assert done.stderr.splitlines()[-1] == (
        f"interrupted after {count(n_made, 'training run')}; resume with: "
        f"microgpt sweep resume experiments/{run.name}"
    )
    done = ok(microgpt("sweep", "resume", run, "--workers", "2"))
    told = f"12 of 12 training runs completed; ran {12 - n_made} in "
    assert done.stdout.splitlines()[1].startswith(told)
    assert evaluations_of(run) == evaluations_of(whole)
    edit(run / "settings.json", n_trials=None)  # as after an interruption
    assert "ran 0 in " in ok(microgpt("sweep", "resume", run)).stdout


def test_a_finished_sweep_changes_only_with_more_seeds(microgpt, tmp_path) -> None:
    ok(microgpt("sweep", *GRID))
    run, before = run_of(tmp_path), contents(tmp_path)
    assert "so nothing changed" in ok(microgpt("sweep", "resume", run)).stderr
    assert contents(tmp_path) == before
    assert "has 3" in refused(microgpt("sweep", "resume", run, "--seeds", "2"))
    assert "so nothing changed" in ok(microgpt("sweep", "resume", run, "--seeds", "3")).stderr
    done = ok(microgpt("sweep", "resume", run, "--seeds", "4"))
    assert "16 of 16 training runs completed; ran 4 in " in done.stdout
    assert {line["seed"] for line in evaluations_of(run)} == {5, 6, 7, 8}


def test_a_sweep_skips_only_models_that_exceed_the_memory(microgpt, tmp_path) -> None:
    axes = ("n_layer=1,40", "n_embd=8,65536", "n_head=1", "steps=1")
    options = [word for axis in axes for word in ("--vary", axis)]
    done = ok(microgpt("sweep", "grid", *options, *NAMES))
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: n_embd 65,536")]
    assert len(notes) == 2
    assert "n_layer 40: refused, training this model needs " in max(notes)
    assert "\n6 of 12 training runs completed; " in done.stdout
    found = Counter(line["status"] for line in evaluations_of(run_of(tmp_path)))
    assert found == {"refused": 6, "ok": 6}


def test_the_command_that_a_sweep_suggests_can_be_run(microgpt) -> None:
    *_, suggestion = ok(microgpt("sweep", "grid", "--vary", "steps=5", *NAMES)).stdout.splitlines()
    ok(microgpt(*suggestion.split()[3:]))


def test_a_sweep_notes_documents_longer_than_the_block_size(microgpt) -> None:
    options = ("sweep", "grid", "--vary", "steps=1", *NAMES, "--vary")
    assert "are longer than" not in ok(microgpt(*options, "block_size=64")).stderr
    told = " documents are longer than the block size of 4, and are split; "
    assert told in ok(microgpt(*options, "block_size=64,4")).stderr


@pytest.mark.compiled
def test_a_sweep_whose_runs_all_diverge_exits_with_status_1(microgpt, tmp_path) -> None:
    done = microgpt("sweep", *GRID, "--vary", "lr=1e30")
    assert done.returncode == 1
    assert "no training run completed: the loss was not a finite" in done.stderr.splitlines()[-1]
    assert done.stderr.endswith(f"; see experiments/{run_of(tmp_path).name}\n")
    assert "note: n_embd 8, steps 60: diverged, the loss was not a finite" in done.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("grid", "the grid has no settings; pass at least one, such as --vary n_embd=16,32 "),
        ("grid --vary 8,16", "--vary must be a setting and its values, got '8,16'; use --vary n_e"),
        ("grid --vary n_embd=8,16 names.txt", "(names.txt); to read a file, use --data names.txt"),
        ("steps --seeds 1000000000", "seeds must be at most 1000"),
        ("params --scheduler tcp://127.0.0.1:9", "cannot use a Dask scheduler at tcp:"),
        ("resume nowhere", "nowhere is not a study: cannot read settings.json"),
    ],
)
def test_refused_sweep_options_create_no_study(microgpt, tmp_path, options, problem) -> None:
    assert problem in refused(microgpt("sweep", *options.split()))
    assert not (tmp_path / "experiments").exists()
