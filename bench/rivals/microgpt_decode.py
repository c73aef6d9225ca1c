"""Contender for decode_speed.py: the compiled engine of microgpt."""

import numpy as np
from job import TEMPERATURE, Job, answer

from microgpt.config import ModelConfig, Sampling
from microgpt.sampling import DecodeRules
from microgpt_engine import decoder as decoding
from microgpt_engine.compiled_model import CompiledModel


def prepare(job: Job):
    """Return a function that generates the sequences and returns their tokens."""
    model = ModelConfig(
        n_embd=job.weights["wte"].shape[1],
        n_head=job.n_head,
        n_layer=job.n_layer,
        block_size=job.block_size,
        vocab_size=job.vocab_size,
    )
    compiled = CompiledModel(model, job.weights, "float32")
    uniforms = job.uniforms()
    decoding.MAX_SLOTS = job.batch_size

    def make_up() -> np.ndarray:
        decoder = decoding.Decoder(
            compiled,
            [[model.vocab_size - 1]] * len(uniforms),
            DecodeRules(sampling=Sampling(TEMPERATURE)),
        )
        decoder.sequences.uniforms[:] = uniforms
        while decoder.run():
            pass
        return decoder.sequences.tokens[:, 1:].ravel()

    return make_up


answer(prepare)
