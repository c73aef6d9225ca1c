"""The cost of a training run in operations; see docs/reference/training.md#operations."""

import random
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from time import perf_counter

from microgpt.config import MAX_SIZE, EngineName, ModelConfig, TextKind, TrainConfig
from microgpt.data.statistics import measure
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import Document, Tokenizer
from microgpt.muon import N_ITERATIONS
from microgpt.parameters import count_params
from microgpt.training.engines import EngineTraining, make_training

# A floating-point operation of a matrix product counts as one. Other work counts by its relative
# time, measured for 80 shapes on an AMD EPYC (bench/studies/operations.py at commit a922fbb8).
ATTENTION = 2.0  # cost per floating-point operation in attention
ELEMENTS = 20_000  # cost per token and layer of norms, activations and residual connections
SOFTMAX = 40  # cost per token and entry of the vocabulary
OPTIMIZER = 20  # cost per weight and step
MUON = 0.7  # cost per floating-point operation of Muon
STEP = 5e6  # cost per step in that measurement; a change would alter all budgets

N_PARTS, PART_S = 4, 0.1  # number of measurements, and seconds each; the median resists outliers
N_TIMED = 4  # maximum number of tokens per document when the reference engine is timed
# Operations per second, assumed before a measurement: those of one core of an AMD EPYC (Zen 5).
TYPICAL: dict[EngineName, float] = {"compiled": 1.8e11, "reference": 2e7}


def step_operations(model: ModelConfig, config: TrainConfig, length: float) -> float:
    """Return the cost of a training step, given the mean number of predictions per chunk.

    A matrix weight takes 2 operations per token in the forward pass and 4 in the backward pass
    (Kaplan et al. 2020, table 1), and each multiply-add in attention costs the same.
    """
    C, L, V = model.n_embd, model.n_layer, model.vocab_size
    n_tokens = config.batch_size * length
    products = 6 * (L * (4 + 2 * model.n_ff_exp) * C**2 + V * C)
    attention = ATTENTION * 6 * L * C * (length + 1)
    operations = n_tokens * (products + attention + ELEMENTS * L + SOFTMAX * V)
    operations += OPTIMIZER * count_params(model) + STEP
    if config.optimizer == "muon":
        square, tall = 6 * C**3, (4 * model.n_ff_exp + 2) * C**3  # operations per matrix, by shape
        operations += MUON * L * (N_ITERATIONS * (4 * square + 2 * tall))
    return operations


def evaluation_operations(model: ModelConfig, length: float, n_tokens: float) -> float:
    """Return the cost of evaluating n_tokens tokens: a third of the cost of training on them."""
    step = step_operations(model, TrainConfig(batch_size=1), length)
    return (step - (OPTIMIZER * count_params(model) + STEP)) / 3 * n_tokens / length


def held_out_operations(
    docs: Sequence[Document], model: ModelConfig, tokenizer: Tokenizer, text: TextKind
) -> float:
    """Return the cost of scoring held-out documents, or 0 if there are none."""
    if not docs:
        return 0.0
    sizes = measure(docs, tokenizer, text)
    length = sizes.chunk_length(model.block_size)
    is_long = sizes.mean_length > model.block_size  # overlapping windows read each token twice
    return evaluation_operations(model, length, (2 if is_long else 1) * sizes.n_tokens)


def operations_per_second(
    model: ModelConfig, config: TrainConfig, *, length: float, threads: int
) -> float:
    """Return the operations per second of training steps on random chunks, measured for 0.4 s."""
    n_tokens = max(1, round(length))
    # The reference engine's time is proportional to the tokens, so it is timed on a short document.
    is_scalar = config.engine == "reference"
    batch_size, n_read = (1, min(N_TIMED, n_tokens)) if is_scalar else (config.batch_size, n_tokens)
    rng = random.Random(0)
    docs = TokenDataset(
        [rng.randrange(model.vocab_size) for _ in range(n_read + 1)] for _ in range(batch_size)
    )
    # The timed run has no step limit, and its learning rate is too low to diverge.
    timed = replace(config, steps=MAX_SIZE, batch_size=batch_size, lr=1e-6, weight_decay=0.0)
    engine = make_training(model, timed, docs, rng, threads)
    speeds = [_steps_per_second(engine) for _ in range(N_PARTS)]  # the first only fills caches
    share = batch_size * n_read / (config.batch_size * n_tokens)
    return median(speeds[1:]) * share * step_operations(model, config, n_tokens)


def _steps_per_second(engine: EngineTraining) -> float:
    """Return the steps per second, measured over at least one step and PART_S seconds."""
    started, first = perf_counter(), engine.n_steps
    while engine.n_steps == first or perf_counter() < started + PART_S:
        engine.run(MAX_SIZE)
    return (engine.n_steps - first) / (perf_counter() - started)
