"""The compiled engine as a plug-in: the functions of `microgpt.training.engines.EngineModule`.

Arrays have the layouts of `CompiledModel` and `CompiledTraining`. See docs/engine.md#the-work.
"""

import random
from typing import TYPE_CHECKING

from microgpt import ModelConfig, TokenDataset, TrainConfig, count_params
from microgpt_engine.compiled_model import CompiledModel
from microgpt_engine.preparation import prepare as prepare
from microgpt_engine.random_numbers import shuffled as shuffled
from microgpt_engine.weight_layout import initial_weights

if TYPE_CHECKING:
    from microgpt_engine.trainer import CompiledTraining

BYTES_PER_WEIGHT = 200  # memory for a weight, its gradient, its moments, and Python floats

make_model = CompiledModel


def n_bytes(model: ModelConfig, longest: int) -> int:
    """Return roughly how many bytes a thread needs for documents of up to `longest` predictions."""
    C = model.n_embd
    per_layer = (6 + model.n_ff_exp) * C + model.n_head * longest / 2
    per_token = 8 * C + model.vocab_size + model.n_layer * per_layer
    n_rotary = 0 if model.n_positions else C * model.block_size  # elements of rotary tables
    n_numbers = count_params(model) + n_rotary
    return BYTES_PER_WEIGHT * n_numbers + round(8 * longest * per_token)


def make_training(
    model: ModelConfig, config: TrainConfig, docs: TokenDataset, rng: random.Random, threads: int
) -> "CompiledTraining":
    """Return a model to train, with random initial weights. Small steps use a single thread."""
    assert config.dtype
    from microgpt_engine.threaded_trainer import MIN_SHARED_WORK, ThreadedTraining
    from microgpt_engine.trainer import CompiledTraining

    n_tokens = config.batch_size * (len(docs.tokens) / len(docs) - 1)
    is_shared = count_params(model) * n_tokens > MIN_SHARED_WORK
    threads = min(threads, config.batch_size) if is_shared else 1
    engine = (
        CompiledTraining(model, config, docs, dtype=config.dtype)
        if threads == 1
        else ThreadedTraining(model, config, docs, dtype=config.dtype, threads=threads)
    )
    engine.set_weights(initial_weights(model, rng))
    return engine
