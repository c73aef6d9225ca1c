"""Train models of one shape at the same time on one device, in JAX."""

from collections.abc import Callable, Sequence
from time import perf_counter

import jax

from microgpt.config import Device, DType, ModelConfig, TrainConfig
from microgpt.data.split import Split
from microgpt.data.tokenizer import Tokenizer
from microgpt.jax_engine.population import JaxPopulation
from microgpt.jax_engine.trainer import device_of
from microgpt.state import TrainResult
from microgpt.training.loop import DivergedError, TrainingLoop
from microgpt.training.options import TrainOptions
from microgpt.training.planning import plan_training


def train_together(
    docs: Split,
    configs: Sequence[TrainConfig],
    device: Device,
    *,
    model: ModelConfig,
    tokenizer: Tokenizer,
    dtype: DType,
    should_stop: Callable[[], bool] | None = None,
) -> list[TrainResult | None]:
    """Train a model with each configuration; return the results in order, None if one diverged.

    The configurations may differ in the seed, steps, learning rate, warm-up, dropout and weight
    decay. Each result is that of a single training with the JAX engine, up to rounding.
    """
    population, options = JaxPopulation(), TrainOptions(engine="jax", dtype=dtype, example=[])
    with jax.default_device(device_of(device)):
        loops = [
            TrainingLoop(
                plan_training(docs, options, model=model, config=config, tokenizer=tokenizer),
                threads=1,
                until=None,
                started=perf_counter(),
                on_event=lambda event: None,
                on_state=lambda state: None,
                state_every=None,
                should_stop=should_stop or (lambda: False),
                engine_of=population.member,
            )
            for config in configs
        ]
        population.start()
        running = {i: loop.steps() for i, loop in enumerate(loops)}
        ended: dict[int, TrainResult | None] = {}
        while running := {i: each for i, each in running.items() if i not in ended}:
            population.until = min(loops[i].next_pause() for i in running)
            for i, training in running.items():
                try:
                    next(training)
                except StopIteration as end:
                    ended[i] = end.value
                except DivergedError:
                    ended[i] = None
    return [ended[i] for i in range(len(loops))]
