"""The life cycle of a creature, and searches that are repeated, shared out, killed and resumed."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

SMALL = ("--input", "names.txt", "--population", "4", "--generations", "4", "--seed", "5")


@pytest.fixture(autouse=True)
def names(tmp_path: Path) -> None:
    """A file of some hundred made-up names."""
    docs = [a + b + c + d for a in "aeiou" for b in "mnrl" for c in "aeo" for d in ["", "l", "nn"]]
    (tmp_path / "names.txt").write_text("\n".join(docs))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/names.txt").write_text("\n".join(docs))


def run_of(folder: Path) -> Path:
    """Return the directory of the newest run."""
    return max(path for path in (folder / "experiments").iterdir() if path.is_dir())


def evaluations_of(run: Path) -> list[dict[str, object]]:
    """Return what was measured, without timings, in an order that does not depend on them."""
    lines = map(json.loads, (run / "evaluations.jsonl").read_text().splitlines())
    return sorted(({**line, "seconds": 0} for line in lines), key=lambda line: line["id"])


def log_of(run: Path) -> str:
    """Return the log without its name and timings."""
    text = run.with_name(f"{run.name}.log").read_text()
    text = re.sub(r"experiments/\S+", "LOG", text)
    return re.sub(r"\b\d+s\b", "TIME", text)


def test_the_life_cycle(microgpt, tmp_path) -> None:
    primordial = microgpt("run")
    assert primordial.stdout.startswith("=== MicroGPT [Primordial] ===")
    done = microgpt("evolve", *SMALL, "--train-winner", "winner")
    assert done.returncode == 0, done.stderr
    assert "The organism has evolved." in done.stdout
    genome = json.loads((tmp_path / "genome.json").read_text())
    assert (genome["objective"], genome["fitness"], genome["seed"]) == ("loss", "held-out", 5)
    evolved = microgpt("run")
    assert evolved.stdout.startswith("=== MicroGPT [Evolved] ===")
    assert f"emb={genome['n_emb']}," in evolved.stdout
    assert microgpt("train", "--genome", "genome.json").returncode == 0
    assert microgpt("generate").returncode == 0
    assert microgpt("generate", "--model-dir", "winner").returncode == 0


def test_the_log_is_what_was_printed(microgpt, tmp_path) -> None:
    done = microgpt("evolve", *SMALL)
    run = run_of(tmp_path)
    assert run.with_name(f"{run.name}.log").read_text() == done.stdout
    assert "[eval] organism 1 starting: Emb:" in done.stderr


def test_the_same_seed_gives_the_same_whatever_the_workers(microgpt, tmp_path) -> None:
    microgpt("evolve", *SMALL)
    genome = (tmp_path / "genome.json").read_bytes()
    first = run_of(tmp_path)
    microgpt("evolve", *SMALL, "--workers", "3", "--force")
    second = run_of(tmp_path)
    assert first != second
    assert (tmp_path / "genome.json").read_bytes() == genome
    assert evaluations_of(second) == evaluations_of(first)
    assert log_of(second) == log_of(first)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_search_that_is_killed_and_resumed_ends_like_one_that_never_was(
    microgpt, tmp_path, number
) -> None:
    microgpt("evolve", *SMALL)
    genome = (tmp_path / "genome.json").read_bytes()
    whole = run_of(tmp_path)
    (tmp_path / "genome.json").unlink()
    process = subprocess.Popen(
        ["microgpt", "evolve", *SMALL],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "Generation 2" not in process.stdout.readline():
        pass
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert not (tmp_path / "genome.json").exists()
    run = run_of(tmp_path)
    if number != signal.SIGKILL:
        assert errors.splitlines()[-1].endswith(
            f"go on with: microgpt evolve --resume experiments/{run.name}"
        )
    with (run / "evaluations.jsonl").open("a") as file:
        file.write('{"id": "torn')  # as a kill in the middle of a line would leave it
    assert microgpt("evolve", "--resume", f"experiments/{run.name}").returncode == 0
    assert (tmp_path / "genome.json").read_bytes() == genome
    assert evaluations_of(run) == evaluations_of(whole)
    assert log_of(run) == log_of(whole)


def test_a_genome_that_is_as_good_stays_and_the_winner_is_in_its_run(microgpt, tmp_path) -> None:
    microgpt("evolve", *SMALL)
    before = os.stat(tmp_path / "genome.json").st_mtime_ns
    done = microgpt("evolve", *SMALL)
    assert done.returncode == 0
    assert "genome.json stays" in done.stderr
    assert os.stat(tmp_path / "genome.json").st_mtime_ns == before
    winner = (run_of(tmp_path) / "genome.json").read_bytes()
    assert winner == (tmp_path / "genome.json").read_bytes()  # the same search again


@pytest.mark.parametrize("population", ["1", "2"])
def test_tiny_populations_evolve_too(microgpt, tmp_path, population) -> None:
    options = ("--input", "names.txt", "--population", population, "--generations", "3")
    assert microgpt("evolve", *options).returncode == 0
    assert (tmp_path / "genome.json").exists()


def test_the_measure_of_the_source_is_there_on_request(microgpt, tmp_path) -> None:
    done = microgpt("evolve", *SMALL, "--fitness", "last-doc")
    assert "Target: loss < 1.2" in done.stdout
    genome = json.loads((tmp_path / "genome.json").read_text())
    assert genome["fitness"] == "last-doc"
    assert genome["val_loss"] != genome["loss"]


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--population", "0"], "population must be >= 1, got 0"),
        (["--generations", "0"], "generations must be >= 1, got 0"),
        (["--workers", "0"], "workers must be >= 1, got 0"),
        (["--minutes", "0"], "minutes must be a number above 0, got 0.0"),
        (["--seed", "-1"], "seed must be >= 0, got -1"),
        (["--fitness", "beauty"], "invalid value for '--fitness'"),
        (["--resume", "nowhere"], "nowhere is no run to go on with"),
        (["--input", "nowhere.txt"], "cannot read nowhere.txt"),
        (["--scheduler", "tcp://127.0.0.1:1"], "127.0.0.1:1"),
    ],
)
def test_bad_input_is_refused(microgpt, args, problem) -> None:
    started = time.perf_counter()
    done = microgpt("evolve", *args)
    assert done.returncode == 2, done.stderr
    (error,) = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert error.startswith("error: ")
    assert problem in error
    assert time.perf_counter() - started < 30


def test_a_file_with_too_few_documents_is_refused(microgpt, tmp_path) -> None:
    (tmp_path / "few.txt").write_text("anna\nemma\n")
    done = microgpt("evolve", "--input", "few.txt")
    assert done.returncode == 2
    assert "2 documents are too few" in done.stderr


def test_a_resume_with_other_settings_or_data_is_refused(microgpt, tmp_path) -> None:
    microgpt("evolve", *SMALL)
    run = f"experiments/{run_of(tmp_path).name}"
    done = microgpt("evolve", "--resume", run, "--population", "9")
    assert done.returncode == 2
    assert "--population is 9, but 4 in the run to resume; leave it out" in done.stderr
    (tmp_path / "names.txt").write_text("\n".join(f"other{i}" for i in range(100)))
    done = microgpt("evolve", "--resume", run)
    assert done.returncode == 2
    assert "is not what the run began with" in done.stderr
