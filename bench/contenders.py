"""Processes that run the same job in turns: microgpt and its rivals (bench/rivals)."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from harness import BENCH, script
from rivals.job import Job

from microgpt.config import ModelConfig
from microgpt.model import Weights

RIVALS = ("torch",)
TITLES = {"microgpt": "microgpt", "torch": "PyTorch"}
CHAT = ModelConfig(n_embd=128, n_head=8, n_layer=4, block_size=256)


class Contender:
    """A contender process that runs a job on request."""

    def __init__(self, name: str, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.name = name
        self.warm_up_s = self._read()["ready"]
        self.seconds: list[float] = []
        self.result: list[float] = []

    def __enter__(self) -> "Contender":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def work(self) -> None:
        """Run the job once, and record its time and result."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._read()
        self.seconds.append(answer["seconds"])
        self.result = answer["result"]

    def _read(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} failed")
        return json.loads(line)


def compete(
    kind: str,
    job: Job,
    rivals: Iterable[str],
    rounds: int,
    python: str | None,
    agree: Callable[[np.ndarray, np.ndarray], bool],
    programs: Iterable[Path] = (),
) -> dict[str, Contender]:
    """Let microgpt and its rivals run a job in turns, and return them by name, microgpt first.

    Args:
        kind: "train" or "decode".
        python: interpreter of the rivals; by default, uv provides one.
        agree: function that decides whether the results of microgpt and a rival agree.
        programs: programs in C, each in a folder with its name; they have weights of their own.
    """
    with contextlib.ExitStack() as stack:
        path = f"{stack.enter_context(tempfile.TemporaryDirectory())}/job.npz"
        job.save(path)
        pythons = {**dict.fromkeys(rivals, python), "microgpt": sys.executable}
        commands = {
            name: script(BENCH / "rivals" / f"{name}_{kind}.py", path, python=pythons[name])
            for name in ("microgpt", *rivals)
        }
        for program in programs:
            c = script(BENCH / "rivals" / f"c_{kind}.py", path, program, python=sys.executable)
            commands[program.parent.name] = c
        contenders = [stack.enter_context(Contender(*each)) for each in commands.items()]
        for _ in range(rounds):
            for contender in contenders:
                contender.work()
    ours = np.array(contenders[0].result)
    for contender in contenders:
        if contender.result and not agree(ours, np.array(contender.result)):
            raise SystemExit(f"{contender.name} computes a different model")
    return {contender.name: contender for contender in contenders}


def job_of(model: ModelConfig, weights: Weights[float], **facts: Any) -> Job:
    """Return the job of training or sampling with a model."""
    return Job(
        n_head=model.n_head,
        n_layer=model.n_layer,
        block_size=model.block_size,
        vocab_size=model.vocab_size,
        weights={name: np.array(rows, np.float32) for name, rows in weights.items()},
        is_variant=not model.is_karpathys,
        **facts,
    )


def text_of(length: int, words: Iterator[str]) -> str:
    """Return a text of words separated by spaces, cut to the given length."""
    text = next(words)
    while len(text) < length:
        text += " " + next(words)
    return text[:length]
