"""Trainings that are killed, and go on as if they never had been: real processes, real signals."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import commands
import pytest
from trainings import made_up_names

from microgpt import read_training

pytestmark = pytest.mark.slow

# Long enough to be killed often, and a state as often as possible, so that many kills come in the
# middle of writing one.
TRAIN = [
    sys.executable,
    "-c",
    "from microgpt.training import hooks\n"
    "from microgpt_cli.main import main\n"
    "hooks.STATE_INTERVAL_S, hooks.STATE_SHARE = 0.0, 1.0\n"
    "main()",
    "train",
]
OPTIONS = ["--input=names.txt", "--n-embd=16", "--batch-size=4", "--val-fraction=0.2"]
OPTIONS += ["--dropout=0.1", "--weight-decay=0.1"]
OPTIONS += ["--steps=2000", "--num-samples=0"]
BPE = ["--tokenizer=bpe", "--vocab-size=300"]
N_KILLS = 4
KILLS = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]


def weights_of(directory: Path) -> bytes:
    """Return all that a finished training has left but times."""
    meta = json.loads((directory / "meta.json").read_text())
    training = {name: fact for name, fact in meta["training"].items() if name != "seconds"}
    history = str(read_training(directory)[1].history).encode()
    state = (directory / "train_state.safetensors").read_bytes()
    return (directory / "weights.json").read_bytes() + history + state + repr(training).encode()


def kill_at_a_random_moment(command: list[str], folder: Path, rng: random.Random) -> bool:
    """Start a training run and kill it; return whether it was killed before it had ended."""
    trains = rng.random() < 0.9  # it is killed once it trains, mostly; else while it starts
    with commands.running(command, cwd=folder) as process:
        if trains:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.2))
        else:
            time.sleep(rng.uniform(0, 0.8))
        number = rng.choice(KILLS)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        # What Python says when it is stopped before our code runs may be a "Fatal Python error".
        assert not [line for line in errors.splitlines() if line.startswith("error")]
        return process.returncode != 0


def train_through_kills(
    folder: Path, options: list[str], output: str, n_kills: int, rng: random.Random
) -> int:
    """Train to the end in spite of so many kills at the most; return how many there were."""
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
def test_a_killed_training_run_resumes_to_the_same_weights(tmp_path, more) -> None:
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
