"""Training engine in JAX, which takes many steps in one call of a compiled loop.

JAX compiles a program for each shape of model, batch and data. The number of steps is an argument
of the program, so that a pause at any step needs no other program.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.experimental.multihost_utils import broadcast_one_to_all
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from microgpt.config import Device, DType, ModelConfig, TrainConfig
from microgpt.data.token_dataset import TokenDataset
from microgpt.engine.dataset import Dataset
from microgpt.errors import ConfigError
from microgpt.flat_weights import Numbers
from microgpt.jax_engine.step import (
    Data,
    PaddedBatch,
    Rates,
    Setup,
    StackedWeights,
    State,
    data_of,
    from_flat,
    precise,
    rates_of,
    read_batch,
    to_flat,
    token_losses,
    train_step,
)
from microgpt.model_config import count_params
from microgpt.resource_limits import check_memory

RUN_S = 0.05  # target duration of one `run` call
MAX_STEPS = 4096  # maximum number of steps per call
TOO_SMALL = "the device has not enough memory for this training"
EVALUATED = 16_384  # number of tokens that are evaluated at once
REMEDY = "use a smaller model, context or batch, or compute in bfloat16"


def take_steps(
    setup: Setup, state: State, data: Data, rates: Rates, seed: Array, n: Array
) -> tuple[State, Array]:
    """Take n steps; return the state, and as many losses as rates: NaN from a failed step on."""

    def one(i: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
        state, losses = carry
        of_step = Rates._make(each[i] for each in rates)
        batch = read_batch(setup, data, state.step, seed)
        state, loss = train_step(setup, state, batch, of_step)
        return state, losses.at[i].set(loss)

    losses = jnp.full(len(rates.adam_lr), jnp.nan, setup.dtype)
    taken: tuple[State, Array] = lax.fori_loop(0, n, one, (state, losses))
    return taken


class JaxEngine:
    """Training engine with the weights and the optimizer state of a model on a device."""

    def __init__(
        self, model: ModelConfig, config: TrainConfig, docs: TokenDataset, *, dtype: DType
    ) -> None:
        """Set all weights to 0. Training cycles through `docs` of 2 to block_size + 1 tokens."""
        dataset = Dataset.of(docs)
        self.config = config
        self._n = 1  # number of steps of the next `run` call
        self._before: State | None = None  # the state before the last steps
        with device_errors(), precise():
            rows, self._everywhere = batch_sharding(config.batch_size)
            self._setup = replace(Setup.of(model, config, dataset.longest, dtype), rows=rows)
            self._data = jax.device_put(data_of(dataset), self._everywhere)
            zeros = np.zeros(count_params(model), dtype)
            self.resume(0, zeros, zeros, zeros)
            rates = rates_of(config, np.zeros(MAX_STEPS), dtype)
            arguments = self._state, self._data, rates, np.uint64(0), np.int64(0)
            # JAX remembers the program, for other trainings of the same shape.
            program = jax.jit(take_steps, static_argnums=0, out_shardings=self._everywhere)
            self._program = program.lower(self._setup, *arguments).compile()
            _check_fits(self._program)

    @property
    def n_steps(self) -> int:
        """The number of optimizer updates so far."""
        return int(self._state.step)

    def set_weights(self, numbers: Sequence[float] | Numbers) -> None:
        """Set the initial weights from a sequence in the order of `weight_shapes`."""
        zeros = np.zeros(len(numbers), self._setup.dtype)
        self.resume(0, numbers, zeros, zeros)

    def resume(self, step: int, weights: Any, adam_m: Any, adam_v: Any) -> None:
        """Restore the step, weights and Adam moments of a checkpoint."""
        model, dtype = self._setup.model, self._setup.dtype
        with device_errors(), precise(), np.errstate(over="ignore"):
            parts = [from_flat(model, each, dtype) for each in (weights, adam_m, adam_v)]
            state = State(parts[0], parts[1], parts[2], np.int64(step))
            self._state = jax.device_put(state, self._everywhere)
        self._before = None

    def run(self, until: int) -> list[float]:
        """Train for about 50 ms, up to step `until`; return the losses. See `Engine.run`."""
        n = min(until - self.n_steps, self._n)
        started = perf_counter()
        state, losses = self._take_steps(n)
        n_taken = int(state.step) - self.n_steps
        if n_taken:
            self._before, self._state = self._state, state
        speed = n / (perf_counter() - started)
        self._n = int(of_first_host(max(1, min(int(speed * RUN_S), 10 * self._n, MAX_STEPS))))
        return losses[: n_taken + (n_taken < n)]

    def backward(self, should_stop: Callable[[], bool] = lambda: False) -> float:
        """Return the loss of the next batch, or NaN if it or a gradient is not finite."""
        return self._take_steps(1)[1][0]

    def undo(self) -> None:
        """Undo the last step: return to an earlier state and repeat all but the last step."""
        last = self.n_steps - 1
        assert self._before
        self._state = self._before
        while n := last - self.n_steps:
            self._state, _ = self._take_steps(min(n, MAX_STEPS))

    def flat_weights(self) -> NDArray[Any]:
        """Return a flat copy of the weights in the order of `weight_shapes`."""
        return to_flat(self._state.weights)

    def numbers(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return flat copies of the weights and Adam moments in the order of `weight_shapes`."""
        state = self._state
        return to_flat(state.weights), to_flat(state.m), to_flat(state.v)

    def _take_steps(self, n: int) -> tuple[State, list[float]]:
        """Return the state after n steps, and their losses."""
        first = self.n_steps
        rates = rates_of(self.config, np.arange(first, first + n), self._setup.dtype)
        padded = Rates._make(np.resize(each, MAX_STEPS) for each in rates)
        with device_errors(), precise():
            seed = np.uint64(self.config.seed)
            state, losses = self._program(self._state, self._data, padded, seed, np.int64(n))
            return state, np.asarray(losses)[:n].tolist()


class JaxLoss:
    """The summed negative log-likelihood of documents, computed on a device; see `Nll`."""

    def __init__(self, model: ModelConfig, weights: Numbers, dtype: DType) -> None:
        batch = TrainConfig(batch_size=max(1, EVALUATED // model.block_size))
        self._setup = Setup.of(model, batch, model.block_size, dtype)
        with device_errors(), precise():
            self._weights = jax.device_put(from_flat(model, weights, dtype))

    def __call__(self, docs: TokenDataset) -> float:
        """Return the sum over the predictions that count, in nats."""
        dataset, B = Dataset.of(docs), self._setup.batch_size
        places = np.arange(self._setup.longest)
        at = dataset.starts[:-1, None] + places
        counted = places < np.diff(dataset.starts)[:, None] - 1
        at = np.minimum(at, len(dataset.tokens) - 2)
        if dataset.mask.size:
            counted &= dataset.mask[at + 1] == 1
        counted = np.pad(counted, ((0, -len(at) % B), (0, 0)))  # whole batches
        at = np.resize(at, counted.shape)
        parts, total = (dataset.tokens[at], dataset.tokens[at + 1], counted), 0.0
        with device_errors(), precise():
            for first in range(0, len(at), B):
                batch = [np.asarray(part[first : first + B], np.int32) for part in parts]
                total += float(_nll(self._setup, self._weights, *batch))
            return of_first_host(total)


@partial(jax.jit, static_argnums=0)
def _nll(
    setup: Setup, weights: StackedWeights, tokens: Array, targets: Array, counted: Array
) -> Array:
    losses = token_losses(setup, weights, PaddedBatch(tokens, targets, counted, counted), None)
    return (counted * losses).sum()


def batch_sharding(batch_size: int) -> tuple[NamedSharding | None, NamedSharding | None]:
    """Return how the rows of a batch, and all other arrays, are placed; None for one device.

    Raises:
        ConfigError: the hosts have more devices than a batch has documents.
    """
    first: Any = jax.config.jax_default_device  # type: ignore[attr-defined]
    devices = jax.devices(first.platform if first else None)
    if jax.process_count() == 1:
        devices = devices[:batch_size]
    elif batch_size < len(devices):
        raise ConfigError(
            f"batch_size is {batch_size}, but the hosts have {len(devices)} devices; use a larger "
            "batch or fewer hosts"
        )
    if len(devices) == 1:
        return None, None
    mesh = Mesh(np.array(devices), ("batch",))
    return NamedSharding(mesh, PartitionSpec("batch")), NamedSharding(mesh, PartitionSpec())


def of_first_host(number: float) -> float:
    """Return the number of the first host, so that all hosts decide the same."""
    if jax.process_count() == 1:
        return number
    with precise():
        return float(broadcast_one_to_all(np.float64(number)))


def device_of(kind: Device) -> Any:
    """Return the first device of a kind; raise ConfigError if there is none."""
    with device_errors():
        return jax.local_devices(backend=kind)[0]


def use_device(kind: Device) -> None:
    """Compute on the first device of a kind from now on; raise ConfigError if there is none."""
    jax.config.update("jax_default_device", device_of(kind))


@contextmanager
def device_errors() -> Iterator[None]:
    """Raise ConfigError if there is no device, or if it has not enough memory."""
    try:
        yield
    except (AssertionError, RuntimeError) as error:
        message = str(error).partition("\n")[0]
        if "RESOURCE_EXHAUSTED" in message:
            raise ConfigError(f"{TOO_SMALL} ({message}); {REMEDY}") from error
        # JAX has no exception of its own for a missing device, and may fail without a message.
        platforms = os.environ.get("JAX_PLATFORMS")
        if "backend" in message or (platforms and not message):
            found = message or f"JAX_PLATFORMS is {platforms}"
            raise ConfigError(
                f"JAX finds no such device ({found}); use another device, or install JAX for it"
            ) from error
        raise


def _check_fits(program: Any) -> None:
    """Raise ConfigError if a program needs more memory than its device has."""
    (device, *_) = jnp.zeros(()).devices()
    stats = program.memory_analysis()
    n_bytes = stats.argument_size_in_bytes + stats.temp_size_in_bytes
    n_bytes += 2 * stats.output_size_in_bytes  # the state before the last call is kept, for `undo`
    if device.platform == "cpu":
        check_memory(n_bytes, "training this model with JAX", REMEDY)
        return
    limit = (device.memory_stats() or {}).get("bytes_limit", n_bytes)
    if n_bytes > limit:
        raise ConfigError(f"{TOO_SMALL} ({limit:,} bytes; it takes {n_bytes:,}); {REMEDY}")
