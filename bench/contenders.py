"""Run the same training or generation with microgpt and other programs, in turns on one core.

A contender prepares a job once and returns a function that runs it and returns losses or tokens.
All contenders train from equal weights on the same documents in the same order, or generate from
the same random numbers. A C program draws its own weights, and its function returns the run time.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from functools import partial
from typing import Any

import numpy as np
from harness import in_turns

from microgpt import DecodeRules, ModelConfig, Sampling, TrainConfig, count_params, init_weights
from microgpt_engine import decoder as decoding
from microgpt_engine.compiled_model import CompiledModel
from microgpt_engine.trainer import CompiledTraining

TORCH = "torch==2.13.0"
RIVALS = ("torch",)
TITLES = {"microgpt": "microgpt", "torch": "PyTorch"}
CHAT = ModelConfig(n_embd=128, n_head=8, n_layer=4, block_size=256)
TEMPERATURE = 0.5

Work = Callable[[], Any]


@dataclass(kw_only=True)
class Job:
    """A training run, or the generation of sequences that fill the context.

    Attributes:
        rng: random generator for the initial weights.
        docs: the documents as tokens; each step uses the next batch_size of them.
        n_together, n_times: number of sequences per batch, and number of batches to generate.
    """

    model: ModelConfig
    rng: InitVar[random.Random]
    config: TrainConfig = field(default_factory=TrainConfig)
    docs: Sequence[Sequence[int]] = ()
    n_together: int = 1
    n_times: int = 1

    def __post_init__(self, rng: random.Random) -> None:
        rows = init_weights(self.model, rng)
        self.weights = {name: np.array(matrix, np.float32) for name, matrix in rows.items()}

    def uniforms(self) -> np.ndarray:
        """Return random numbers in [0, 1), one per generated token: (sequences, T)."""
        shape = (self.n_times * self.n_together, self.model.block_size)
        return np.random.default_rng(1).random(shape, np.float32).astype(np.float64)


def trainer(job: Job) -> Work:
    """Return a function that trains with microgpt and returns the losses."""
    engine = CompiledTraining(job.model, job.config, job.docs, dtype="float32")
    zeros = np.zeros(count_params(job.model))

    def train() -> list[float]:
        engine.resume(0, job.weights, zeros, zeros)
        losses: list[float] = []
        while engine.n_steps < job.config.steps:
            losses += engine.run(job.config.steps)
        return losses

    return train


def generator(job: Job) -> Work:
    """Return a function that generates the sequences with microgpt and returns their tokens."""
    compiled, uniforms = CompiledModel(job.model, job.weights, "float32"), job.uniforms()
    decoding.MAX_SLOTS = job.n_together

    def generate() -> np.ndarray:
        prompts = [[job.model.vocab_size - 1]] * len(uniforms)
        decoder = decoding.Decoder(compiled, prompts, DecodeRules(sampling=Sampling(TEMPERATURE)))
        decoder.sequences.uniforms[:] = uniforms
        while decoder.run():
            pass
        return decoder.sequences.tokens[:, 1:].ravel()

    return generate


def compete(
    contenders: Mapping[str, Work], rounds: int, agree: Callable[[np.ndarray, np.ndarray], Any]
) -> dict[str, list[float]]:
    """Run the contenders' jobs in turns; return the times of all rounds, in seconds, by contender.

    `agree` returns whether a contender's result (its second argument) agrees with microgpt's.
    """
    results: dict[str, np.ndarray] = {}

    def run(name: str) -> Any:
        found = contenders[name]()
        if not isinstance(found, float):
            results[name] = np.array(found)
        return found

    seconds = in_turns({name: partial(run, name) for name in contenders}, rounds)
    for name, result in results.items():
        if not agree(results["microgpt"], result):
            raise SystemExit(f"{name} has other results")
    return seconds
