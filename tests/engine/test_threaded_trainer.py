import random

import numpy as np
import pytest
from small_engines import numbers, run_to

from microgpt import ModelConfig, TrainConfig, count_params
from microgpt.data.token_dataset import TokenDataset
from microgpt_engine.threaded_trainer import ThreadedTraining
from microgpt_engine.trainer import CompiledTraining

MODEL = ModelConfig(n_embd=12, n_head=3, n_layer=2, block_size=30, vocab_size=11)


def make(
    threads: int, config: TrainConfig, dtype: str = "float32", kind: str = "plain"
) -> CompiledTraining:
    """Return a compiled engine before its first step, with documents of many lengths."""
    rng = random.Random(1)
    docs = TokenDataset()
    for length in (rng.randint(2, 31) for _ in range(70)):
        doc = [rng.randrange(11) for _ in range(length)]
        docs.append(doc, bytes(rng.choices((0, 1), k=length)) if kind == "masked" else None)
    if kind == "soft":
        n_predictions = len(docs.tokens) - len(docs)
        rows = np.random.default_rng(1).dirichlet([0.3] * 11, n_predictions)
        docs.soft_targets = rows.astype(np.float32)
    engine = (
        CompiledTraining(MODEL, config, docs, dtype=dtype)
        if threads == 1
        else ThreadedTraining(MODEL, config, docs, dtype=dtype, threads=threads)
    )
    engine.set_weights(np.random.default_rng(0).normal(0, 0.3, count_params(MODEL)))
    return engine


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 3, 20, 64])
@pytest.mark.parametrize("kind", ["plain", "masked", "soft"])
def test_the_number_of_threads_does_not_change_the_weights(batch_size, dtype, kind) -> None:
    config = TrainConfig(steps=12, batch_size=batch_size, dropout=0.2, weight_decay=0.1)
    alone = make(1, config, dtype, kind)
    losses = run_to(alone, 12)
    for threads in (2, 3, 5):
        together = make(threads, config, dtype, kind)
        assert run_to(together, 12) == losses
        assert numbers(together) == numbers(alone)


def test_a_step_that_overflows_changes_no_weights() -> None:
    huge = np.full(count_params(MODEL), 1e30)
    for threads in (1, 3):
        engine = make(threads, TrainConfig(steps=6, batch_size=64))
        engine.set_weights(huge)
        before = engine.flat_weights().tolist()
        assert np.isnan(run_to(engine, 6)).tolist() == [True]
        assert engine.flat_weights().tolist() == before
        assert engine.n_steps == 0
