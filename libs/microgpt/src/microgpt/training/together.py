"""Train models of one shape at the same time on one device, in JAX."""

from collections.abc import Callable, Sequence
from time import perf_counter

import jax

from microgpt.config import Device, DType, ModelConfig, TrainConfig
from microgpt.data.split import Split
from microgpt.data.tokenizer import Tokenizer
from microgpt.evaluation.held_out_loss import EvaluationSet
from microgpt.jax_engine import population
from microgpt.jax_engine.trainer import device_of
from microgpt.state import TrainResult
from microgpt.training.loop import DivergedError, TrainingLoop
from microgpt.training.options import TrainOptions
from microgpt.training.planning import plan_training


def train_together(
    docs: Split,
    configs: Sequence[TrainConfig],
    *,
    model: ModelConfig,
    tokenizer: Tokenizer,
    dtype: DType,
    device: Device,
    should_stop: Callable[[], bool] | None = None,
) -> list[TrainResult | DivergedError]:
    """Train one model for each configuration; return the result or the error of each, in order.

    The configurations may differ in the seed, steps, learning rate, schedule, warm-up, dropout and
    weight decay. Each result is that of a single training with the JAX engine, up to rounding.

    Args:
        device: kind of the device.

    Raises:
        ConfigError: JAX finds no such device, or it has not enough memory.
    """
    with jax.default_device(device_of(device)):
        members = population.Population(dtype)
        options = TrainOptions(engine="jax", dtype=dtype, example=[])
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
                engine_of=members.member,
            )
            for config in configs
        ]
        members.start()
        return _results(loops, members)


def _results(
    loops: Sequence[TrainingLoop], members: population.Population
) -> list[TrainResult | DivergedError]:
    running = {i: loop.steps() for i, loop in enumerate(loops)}
    ended: dict[int, TrainResult | DivergedError] = {}
    while running:
        members.until = min(loops[i].next_pause() for i in running)
        for i, training in [*running.items()]:
            try:
                next(training)
            except StopIteration as end:
                ended[i] = end.value
            except DivergedError as error:
                ended[i] = error
        running = {i: training for i, training in running.items() if i not in ended}
    return [ended[i] for i in range(len(loops))]


def held_out_losses(
    results: Sequence[TrainResult], docs: EvaluationSet, device: Device
) -> list[float]:
    """Return the loss of each of several models of one shape, in nats per token."""
    first = results[0]
    known = [each.val_loss for each in results]  # of the best weights, if those were kept
    if None not in known:
        return [loss for loss in known if loss is not None]
    weights = [each.state.final_weights(each.config.steps) for each in results]
    with jax.default_device(device_of(device)):
        return population.held_out_losses(first.model, first.dtype, weights, docs)
