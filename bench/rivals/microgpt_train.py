"""Contender for train_speed.py: the compiled engine of microgpt."""

import numpy as np
from job import Job, answer

from microgpt import count_params
from microgpt.config import ModelConfig, TrainConfig
from microgpt_engine.trainer import CompiledEngine


def prepare(job: Job):
    """Return a function that trains once and returns the losses."""
    model = ModelConfig(
        n_embd=job.weights["wte"].shape[1],
        n_head=job.n_head,
        n_layer=job.n_layer,
        block_size=job.block_size,
        vocab_size=job.vocab_size,
        architecture="modern" if job.is_variant else "karpathy",
    )
    config = TrainConfig(steps=job.steps, batch_size=job.batch_size, optimizer=job.optimizer)
    engine = CompiledEngine(model, config, job.docs, dtype="float32")
    zeros = np.zeros(count_params(model))

    def train() -> list[float]:
        engine.resume(0, job.weights, zeros, zeros)
        losses = []
        while engine.n_steps < config.steps:
            losses += engine.run(config.steps)
        return losses

    return train


answer(prepare)
