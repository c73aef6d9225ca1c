"""Tests that send signals to processes that compile the engine or train a model."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import commands
import pytest
from trainings import made_up_names

from microgpt import read_training

pytestmark = pytest.mark.slow
NOTE = "note: compiling the engine (kept for later runs, takes about ten seconds)\n"


@pytest.fixture
def start(tmp_path: Path, text_model: Path):
    """A function that starts `eval` with an empty cache; its kernels compile quickly."""
    (tmp_path / "names.txt").write_text("anna\nemma\n")
    # Without optimization, compilation takes only two thirds of the time.
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_OPT": "0"}

    options = {"cwd": tmp_path, "env": {**os.environ, **settings}, "text": True}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = ["microgpt", "eval", text_model, "--data", "names.txt"]
    return partial(subprocess.Popen, command, **options, **pipes)


@pytest.mark.long
def test_the_compiled_engine_survives_kills_and_parallel_runs(start, tmp_path) -> None:
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        stopped = start()
        assert stopped.stderr.readline() == NOTE
        time.sleep(1)  # until compilation has begun
        stopped.send_signal(number)
        _, errors = stopped.communicate(timeout=60)
        assert stopped.returncode == code
        assert "Traceback" not in errors
    both = [start(), start()]
    for process in both:
        assert process.stderr.readline() == NOTE  # the note appears during compilation
        assert process.poll() is None
    results = [process.communicate() for process in both]
    assert not [name for name in os.listdir(tmp_path / "cache") if name.startswith(".")]
    again = start()
    results.append(again.communicate())
    assert [process.returncode for process in (*both, again)] == [0, 0, 0]
    assert "compil" not in "".join(errors for _, errors in results)
    assert len({out for out, _ in results}) == 1
    assert results[0][0].startswith("documents:  2\n")


# The training run is long enough for many kills, and saves its state as often as possible, so that
# many kills interrupt a save.
CODE = """
from microgpt.training import hooks
from microgpt_cli.main import main
hooks.STATE_INTERVAL_S, hooks.STATE_SHARE = 0.0, 1.0
main()
"""
TRAIN = [sys.executable, "-c", CODE, "train"]
OPTIONS = ["--input=names.txt", "--n-embd=16", "--batch-size=4", "--val-fraction=0.2"]
OPTIONS += ["--dropout=0.1", "--weight-decay=0.1", "--steps=2000", "--num-samples=0"]
BPE = ["--tokenizer=bpe", "--vocab-size=300"]
N_KILLS = 4
KILLS = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]


def weights_of(directory: Path) -> bytes:
    """Return the weights, losses, state and record of a finished run, without its duration."""
    meta = json.loads((directory / "meta.json").read_text())
    training = {name: fact for name, fact in meta["training"].items() if name != "seconds"}
    history = str(read_training(directory)[1].history).encode()
    state = (directory / "train_state.safetensors").read_bytes()
    return (directory / "weights.json").read_bytes() + history + state + repr(training).encode()


def kill_at_a_random_moment(command: list[str], folder: Path, rng: random.Random) -> bool:
    """Start a training run and kill it at a random moment; return False if it had already ended."""
    trains = rng.random() < 0.9  # otherwise, the process is killed during start-up
    with commands.running(command, cwd=folder) as process:
        if trains:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.2))
        else:
            time.sleep(rng.uniform(0, 0.8))
        number = rng.choice(KILLS)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        # If Python is stopped before our code runs, it can print a "Fatal Python error".
        assert not [line for line in errors.splitlines() if line.startswith("error")]
        return process.returncode != 0


def train_through_kills(
    folder: Path, options: list[str], output: str, n_kills: int, rng: random.Random
) -> int:
    """Train to the end with at most n_kills kills and resumptions; return the number of kills."""
    killed = 0
    while True:
        is_begun = (folder / output).exists()
        begin = ["--resume", output, "--num-samples=0"]
        command = [*TRAIN, *(begin if is_begun else [*options, "--output", output])]
        if killed == n_kills:
            commands.run_process(command, cwd=folder, check=True)
            return killed
        if not kill_at_a_random_moment(command, folder, rng):
            return killed
        killed += 1


@pytest.mark.parametrize("more", [[], [*BPE, "--text=stream"]], ids=["lines", "stream"])
def test_a_killed_run_resumes_to_the_same_result_and_cleans_up(tmp_path, more) -> None:
    (tmp_path / "names.txt").write_text("\n".join(made_up_names(300)))
    options = [*OPTIONS, *more]
    whole = [*TRAIN, *options, "--output", "whole"]
    commands.run_process(whole, cwd=tmp_path, check=True)
    expected = weights_of(tmp_path / "whole")
    rng, killed, turn = random.Random(6), 0, 0
    while killed < N_KILLS:
        output = f"killed{turn}"
        killed += train_through_kills(tmp_path, options, output, N_KILLS - killed, rng)
        assert weights_of(tmp_path / output) == expected
        assert not [name for name in os.listdir(tmp_path / output) if name.startswith(".")]
        turn += 1
