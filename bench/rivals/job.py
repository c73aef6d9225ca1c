"""Job protocol between the benchmarks (train_speed.py, decode_speed.py) and contenders.

A contender is a process. It reads a job from a file, runs the job once to warm up (for example to
compile), prints "ready", and runs the job again for each line of input. All contenders train from
the same weights on the same documents in the same order, or generate sequences with the same random
numbers. After each run, a contender prints a line of JSON: the seconds, and the losses or tokens. A
rival depends only on NumPy and its own library, not on this repository.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

# Muon: learning rate in multiples of LR, momentum, coefficients and number of iterations.
MUON_LR_RATIO, MUON_MOMENTUM = 6.0, 0.95
NEWTON_SCHULZ, N_ITERATIONS = (3.4445, -4.7750, 2.0315), 5
QK_SCALE = 1.2  # root mean square of normalized queries and keys
LR, BETA1, BETA2, EPS = 0.01, 0.85, 0.99, 1e-8  # Adam settings; LR decays linearly to 0
TEMPERATURE = 0.5  # sampling temperature


@dataclass(kw_only=True)
class Job:
    """A training run, or the generation of batch_size sequences per step.

    Attributes:
        docs: the documents as tokens; each step uses the next batch_size documents.
        weights: the initial weights by name, float32.
        is_variant: whether the architecture is `modern` instead of Karpathy's.
        optimizer: "adamw", or "muon" for the matrices of the blocks.
    """

    n_head: int
    n_layer: int
    block_size: int
    vocab_size: int
    batch_size: int
    steps: int
    docs: list[list[int]]
    weights: dict[str, np.ndarray]
    is_variant: bool = False
    optimizer: str = "adamw"

    def save(self, path: str) -> None:
        """Write the job to a file."""
        facts = {key: value for key, value in vars(self).items() if key != "weights"}
        np.savez(path, facts=json.dumps(facts), **self.weights)

    @classmethod
    def load(cls, path: str) -> "Job":
        """Read a job from a file."""
        arrays = dict(np.load(path))
        return cls(**json.loads(str(arrays.pop("facts"))), weights=arrays)

    def padded(self, docs: Sequence[Sequence[int]], T: int) -> tuple[np.ndarray, ...]:
        """Return inputs, targets and a mask that is 1 at targets, all of shape (len(docs), T)."""
        inputs, targets = (np.zeros((len(docs), T), np.int32) for _ in "it")
        mask = np.zeros((len(docs), T), np.float32)
        for i, doc in enumerate(docs):
            n = min(T, len(doc) - 1)
            inputs[i, :n], targets[i, :n], mask[i, :n] = doc[:n], doc[1 : n + 1], 1
        return inputs, targets, mask

    def rotation(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the cosine and sine of each pair of dimensions, of shape (T, head_dim / 2)."""
        D = self.weights["wte"].shape[1] // self.n_head
        angles = np.outer(np.arange(self.block_size), 10_000.0 ** (-np.arange(0, D, 2) / D))
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def batches(self) -> list[Sequence[Sequence[int]]]:
        """Return the documents of each step."""
        size = self.batch_size
        return [self.docs[i * size : (i + 1) * size] for i in range(self.steps)]

    def uniforms(self) -> np.ndarray:
        """Return a uniform in [0, 1) per generated token, of shape (steps * batch_size, T)."""
        shape = (self.steps * self.batch_size, self.block_size)
        return np.random.default_rng(1).random(shape, np.float32).astype(np.float64)


def answer(prepare: Callable[[Job], Callable[[], Any]]) -> None:
    """Run as a contender; `prepare` returns a function that runs the job and returns the result."""
    work = prepare(Job.load(sys.argv[1]))
    started = perf_counter()
    work()
    print(json.dumps({"ready": perf_counter() - started}), flush=True)
    for _ in sys.stdin:
        started = perf_counter()
        result = work()
        seconds = perf_counter() - started
        print(json.dumps({"seconds": seconds, "result": [float(x) for x in result]}), flush=True)
