"""The cost of a training run in operations, and the speed of this machine in operations.

The time of a training run is proportional to its operations on any machine.
"""

import random
from dataclasses import replace
from statistics import median
from time import perf_counter

from microgpt.config import MAX_SIZE, DType, EngineName, ModelConfig, TrainConfig
from microgpt.data.token_dataset import TokenDataset
from microgpt.flat_weights import count_params
from microgpt.muon import N_ITERATIONS
from microgpt.training.engines import Engine, make_engine

# A floating-point operation of a matrix product counts as one operation. Other work is counted by
# its time relative to that of a matrix product, as measured for 80 shapes on an AMD EPYC (Zen 5)
# (study `operations`, last at a922fbb8).
ATTENTION = 2.0  # per floating-point operation in attention
ELEMENTS = 20_000  # per token and layer: normalization, activation, residual connections
SOFTMAX = 40  # per token and entry of the vocabulary
OPTIMIZER = 20  # per weight and step
MUON = 0.7  # per floating-point operation of Muon
STEP = 5e6  # per step

N_PARTS, PART_S = 3, 0.1  # the median of some parts ignores a short disturbance
TINY = 4  # number of tokens of a document for the reference engine
# Operations per second of a machine that has not been measured: one core of an AMD EPYC (Zen 5).
TYPICAL: dict[EngineName, float] = {"compiled": 1.8e11, "reference": 2e7}


def step_operations(model: ModelConfig, config: TrainConfig, length: float) -> float:
    """Return the cost of a training step in operations.

    A matrix weight takes 2 operations per token in the forward pass and 4 in the backward pass
    (Kaplan et al. 2020, table 1), and each multiply-add in attention costs the same.

    Args:
        model: model shape, including the size of the vocabulary.
        config: training settings; only the batch size and the optimizer matter.
        length: mean number of predicted tokens per document or chunk.
    """
    C, L, V = model.n_embd, model.n_layer, model.vocab_size
    n_tokens = config.batch_size * length
    products = 6 * (L * (4 + 2 * model.n_ff_exp) * C**2 + V * C)
    attention = ATTENTION * 6 * L * C * (length + 1)
    operations = n_tokens * (products + attention + ELEMENTS * L + SOFTMAX * V)
    operations += OPTIMIZER * count_params(model) + STEP
    if config.optimizer == "muon":
        square, tall = 6 * C**3, (4 * model.n_ff_exp + 2) * C**3  # four and two matrices per block
        operations += MUON * L * (N_ITERATIONS * (4 * square + 2 * tall))
    return operations


def evaluation_operations(model: ModelConfig, length: float, n_tokens: float) -> float:
    """Return the cost of computing the loss of n_tokens tokens, a third of the training cost."""
    config = TrainConfig(batch_size=1)
    fixed = OPTIMIZER * count_params(model) + STEP
    return (step_operations(model, config, length) - fixed) / 3 * n_tokens / length


def operations_per_second(
    model: ModelConfig,
    config: TrainConfig,
    *,
    length: float,
    engine: EngineName,
    dtype: DType,
    threads: int,
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
    # No step limit, and a learning rate too low to diverge.
    timed = replace(config, steps=MAX_SIZE, batch_size=batch_size, lr=1e-6, weight_decay=0.0)
    trained = make_engine(engine, dtype, model, timed, docs, rng, threads)
    _steps_per_second(trained)  # fills the caches
    steps_per_s = median(_steps_per_second(trained) for _ in range(N_PARTS))
    share = batch_size * n_read / (config.batch_size * n_tokens)
    return steps_per_s * share * step_operations(model, config, n_tokens)


def _steps_per_second(engine: Engine) -> float:
    """Return the steps per second, measured over at least one step and PART_S seconds."""
    started, first = perf_counter(), engine.n_steps
    while engine.n_steps == first or perf_counter() < started + PART_S:
        engine.run(MAX_SIZE)
    return (engine.n_steps - first) / (perf_counter() - started)
