import csv
import json
import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from commands import ok, refused
from searches import run_of

pytestmark = pytest.mark.usefixtures("undrawn", "made_up_names")

KARPATHY = ("--preset", "karpathy")
GRID = (
    *("grid", "--n-embd", "8,16", "--steps", "30,60", "--input", "names.txt", "--seed", "5"),
    *KARPATHY,
)


def results_of(run: Path) -> list[dict[str, Any]]:
    """Return what was measured, without timings, in an order that does not depend on them."""
    lines = map(json.loads, (run / "evaluations.jsonl").read_text().splitlines())
    timeless = [{**line, "seconds": 0, "cpu_seconds": 0, "crc32": 0} for line in lines]
    return sorted(timeless, key=lambda line: (str(line["genome"]), line["seed"]))


def begin(folder: Path, *options: str) -> subprocess.Popen:
    """Start a sweep of thousands of training runs, and return its process when some are made."""
    command = ["microgpt", "sweep", *options]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    made = ""
    while made.count("\n") < 2:
        assert process.poll() is None
        runs = list(folder.glob("experiments/*/evaluations.jsonl"))
        made = runs[0].read_text() if runs else ""
    return process


def test_a_grid_trains_each_point_with_each_seed(microgpt, tmp_path) -> None:
    done = microgpt("sweep", *GRID)
    run = run_of(tmp_path)
    assert done.returncode == 0, done.stderr
    header, first, second, _, *ranking = done.stdout.splitlines()
    assert re.fullmatch(r"12 training runs of 4 models, \d+ in parallel", header)
    assert first.startswith("12 of 12 training runs completed; ran 12 in ")
    assert second == f"Saved to experiments/{run.name}"
    assert len(ranking) <= 20
    results = results_of(run)
    assert {line["status"] for line in results} == {"ok"}
    assert sorted({line["seed"] for line in results}) == [5, 6, 7]
    with (run / "evaluations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["n_embd"], row["steps"], row["seed"]) for row in rows] == [
        (n_embd, steps, seed) for n_embd in ("8", "16") for steps in ("30", "60") for seed in "567"
    ]
    assert not (run / ".lock").exists()


def test_architectures_and_optimizers_can_be_swept(microgpt, tmp_path) -> None:
    axes = ("--architecture", "modern", "--optimizer", "adamw,muon")
    done = ok(
        microgpt("sweep", "grid", *axes, "--steps", "30", "--data", "names.txt", "--seeds", "1")
    )
    points = [line["genome"] for line in results_of(run_of(tmp_path))]
    assert {(p["architecture"], p.get("optimizer")) for p in points} == {
        ("modern", None), ("modern", "muon")
    }  # fmt: skip
    _, _, command = done.stdout.partition("Train the winner:  microgpt ")
    command = command.splitlines()[0].split()
    assert "--architecture" in command
    assert microgpt(*command).returncode == 0


def test_a_grid_varies_the_settings_that_train_would_choose(microgpt, tmp_path) -> None:
    same = ("--data", "names.txt", "--budget", "3e9", "--seed", "5")
    done = ok(microgpt("sweep", "grid", "--n-embd", "8,12", *same, "--seeds", "2"))
    run = run_of(tmp_path)
    assert "operations: " in done.stdout.splitlines()[0]
    assert sum(line.endswith("as train chooses") for line in done.stdout.splitlines()) == 1
    fractions = ("--val-fraction", "0.1", "--test-fraction", "0.1")
    trained = ok(microgpt("train", *same, *fractions, "--model", "chosen", "--json"))
    (loss,) = (line["val_loss"] for line in results_of(run) if line["genome"] == chosen(run)
               and line["seed"] == 5)  # fmt: skip
    assert json.loads(trained.stdout)["val_loss"] == loss
    (command,) = re.findall(r"Train the winner:  microgpt (.*)", done.stdout)
    ok(microgpt(*command.split()))
    meta = json.loads((tmp_path / f"{run.name}-winner" / "meta.json").read_text())
    winner = [
        line for line in results_of(run) if line["genome"].get("n_embd", 16) == meta["n_embd"]
    ]
    assert meta["training"]["val_loss"] == winner[0]["val_loss"]
    lines = (run / "evaluations.jsonl").read_text().splitlines(keepends=True)
    before = results_of(run)
    (run / "evaluations.jsonl").write_text("".join(lines[:2]))
    ok(microgpt("sweep", "resume", run))
    assert results_of(run) == before


def chosen(run: Path) -> dict[str, Any]:
    """Return the settings around which a grid was made."""
    return json.loads((run / "run.json").read_text())["settings"]["chosen"]["base"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGKILL, -9, "")],
)
def test_a_killed_sweep_resumes_with_the_same_results(
    microgpt, tmp_path, number, code, word
) -> None:
    long = (*GRID[:4], "1000,2000,4000", *GRID[5:])
    microgpt("sweep", *long)
    whole = run_of(tmp_path).rename(tmp_path / "whole")
    process = begin(tmp_path, *long)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    run = run_of(tmp_path)
    n_made = (run / "evaluations.jsonl").read_text().count("\n")
    assert process.returncode == code
    assert 0 < n_made < 18
    assert not (run / "evaluations.csv").exists()
    if word:
        assert errors.splitlines()[-1] == (
            f"{word} after {n_made} training run{'s' * (n_made > 1)}; resume with: "
            f"microgpt sweep resume experiments/{run.name}"
        )
    done = ok(microgpt("sweep", "resume", run, "--workers", "2"))
    assert done.stdout.splitlines()[1].startswith(
        f"18 of 18 training runs completed; ran {18 - n_made} in "
    )
    assert results_of(run) == results_of(whole)


def test_resuming_a_finished_sweep_runs_nothing(microgpt, tmp_path) -> None:
    microgpt("sweep", *GRID)
    run = run_of(tmp_path)
    before = [(run / name).read_bytes() for name in ("evaluations.jsonl", "evaluations.csv")]
    done = ok(microgpt("sweep", "resume", run))
    assert done.stdout.startswith("12 of 12 training runs completed; ran 0 in ")
    after = [(run / name).read_bytes() for name in ("evaluations.jsonl", "evaluations.csv")]
    assert after == before


def test_a_sweep_skips_only_models_that_exceed_the_memory(microgpt, tmp_path) -> None:
    options = ("--n-layer", "1,400", "--n-embd", "8,65536", "--n-head", "1", "--steps", "1")
    done = microgpt("sweep", "grid", *options, *KARPATHY, "--input", "names.txt")
    run = run_of(tmp_path)
    assert done.returncode == 0, done.stderr
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: n_embd 65,536")]
    notes.sort()
    assert len(notes) == 2
    assert "n_layer 400: refused, training this model needs " in notes[1]
    assert "bytes of memory, but only " in notes[1]
    assert "\n6 of 12 training runs completed; " in done.stdout
    lines = results_of(run)
    assert [line["status"] for line in lines].count("refused") == 6
    assert [line["status"] for line in lines].count("ok") == 6


def test_a_sweep_in_which_every_run_diverges_fails(microgpt, tmp_path) -> None:
    done = microgpt("sweep", *GRID, "--lr", "1e30")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: no training run completed; see experiments/{run_of(tmp_path).name}"
    )
    assert "note: n_embd 8, steps 60: diverged, the loss was not a finite" in done.stderr


def test_the_command_printed_by_a_chat_sweep_trains_its_winner(microgpt, tmp_path) -> None:
    lines = [[{"role": "user", "content": f"say {n}"}, {"role": "assistant", "content": f"{n}"}]
             for n in range(60)]  # fmt: skip
    (tmp_path / "chat.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = ok(microgpt("sweep", "grid", "--chat", "--input", "chat.jsonl", "--steps", "20,40"))
    assert not any("samples" in line for line in results_of(run_of(tmp_path)))
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("Train the winner:  "))
    command = shlex.split(line.partition(":  microgpt ")[2])
    assert microgpt(*command).returncode == 0
    assert (tmp_path / command[-1] / "meta.json").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("grid", "the grid has no settings; pass at least one, such as --n-embd 16,32 --learning"),
        ("grid --lr fast", "--learning-rate must be a number greater than 0, got 'fast'"),
        ("grid --n-embd 8,1.5", "must be an integer, got 1.5"),
        ("grid --steps 0", "steps must be >= 1, got 0"),
        (
            "grid --learning-rate 0.003 0.01",
            "(0.01); separate values with commas, without spaces: ",
        ),
        ("grid --n-embd 8,16 names.txt", "(names.txt); to read a file, use --data names.txt; see"),
        ("steps --seeds 1000000000", "seeds must be at most 1000"),
        ("params --scheduler tcp://127.0.0.1:9", "cannot reach a Dask scheduler at tcp:"),
        ("params --input nowhere.txt", "cannot read nowhere.txt"),
        ("resume nowhere", "nowhere is not a run: cannot read run.json"),
    ],
)
def test_bad_sweep_options_leave_no_files(microgpt, tmp_path, options, problem) -> None:
    assert problem in refused(microgpt("sweep", *options.split()))
    assert not (tmp_path / "experiments").exists()


def test_a_sweep_is_not_mistaken_for_a_search(microgpt, tmp_path) -> None:
    microgpt("sweep", *GRID, "--seeds", "1")
    run = f"experiments/{run_of(tmp_path).name}"
    assert refused(microgpt("evolve", "--resume", run)) == (
        f"{run} is a sweep, not a search; resume it with: microgpt sweep resume {run}"
    )
