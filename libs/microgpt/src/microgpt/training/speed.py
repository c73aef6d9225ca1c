"""Measure the training speed of this machine in operations per second."""

import random
from dataclasses import replace
from statistics import median
from time import perf_counter

from microgpt.config import MAX_SIZE, DType, EngineName, ModelConfig, TrainConfig
from microgpt.data.token_dataset import TokenDataset
from microgpt.training.engines import Engine, make_engine
from microgpt.training.operations import step_operations

N_PARTS, PART_S = 3, 0.1  # the median of some parts ignores a short disturbance
TINY = 4  # number of tokens of a document for the reference engine
# Operations per second of a machine that has not been measured: one core of an AMD EPYC (Zen 5).
TYPICAL: dict[EngineName, float] = {"compiled": 1.8e11, "reference": 2e7}


def operations_per_second(
    model: ModelConfig,
    config: TrainConfig,
    *,
    length: float,
    engine: EngineName = "compiled",
    dtype: DType = "float32",
    threads: int = 1,
) -> float:
    """Return the speed of training steps on random documents, measured for about 0.4 s.

    Args:
        length: mean number of predicted tokens per document or chunk.

    Raises:
        ConfigError: there is not enough memory.
    """
    n_tokens = max(1, round(length))
    # The time of the reference engine is proportional to the tokens, and a batch can take minutes.
    is_scalar = engine == "reference"
    batch_size, n_read = (1, min(TINY, n_tokens)) if is_scalar else (config.batch_size, n_tokens)
    rng = random.Random(0)
    docs = TokenDataset(
        [rng.randrange(model.vocab_size) for _ in range(n_read + 1)] for _ in range(batch_size)
    )
    trained = make_engine(
        engine,
        dtype=dtype,
        model=model,
        # No step limit, and a learning rate too low to diverge.
        config=replace(config, steps=MAX_SIZE, batch_size=batch_size, lr=1e-6, weight_decay=0.0),
        docs=docs,
        rng=rng,
        threads=threads,
    )
    _steps_per_second(trained)  # fills the caches
    steps_per_s = median(_steps_per_second(trained) for _ in range(N_PARTS))
    share = batch_size * n_read / (config.batch_size * n_tokens)
    return steps_per_s * share * step_operations(model, config, n_tokens)


def _steps_per_second(engine: Engine) -> float:
    """Return the speed over at least one step and PART_S seconds."""
    started, first = perf_counter(), engine.n_steps
    while engine.n_steps == first or perf_counter() < started + PART_S:
        engine.run(MAX_SIZE)
    return (engine.n_steps - first) / (perf_counter() - started)
