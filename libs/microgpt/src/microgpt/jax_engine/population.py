"""Models of one shape that are trained together: one program takes the steps of all of them.

The members may differ in their seed, learning rate, schedule, dropout, weight decay and number of
steps. P = members; every array of a member gets a first axis of this length.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from random import Random
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from microgpt.config import DType, EngineName, ModelConfig, TrainConfig
from microgpt.data.token_dataset import TokenDataset
from microgpt.engine.dataset import Dataset
from microgpt.engine.weights import initial_weights
from microgpt.evaluation.held_out_loss import EvaluationSet
from microgpt.flat_weights import Numbers
from microgpt.jax_engine.step import (
    Data,
    Rates,
    Setup,
    State,
    Weights,
    data_of,
    from_flat,
    precise,
    rates_of,
    read_batch,
    to_flat,
    token_losses,
)
from microgpt.jax_engine.trainer import device_errors, take_steps

AT_ONCE = 256  # maximum number of steps per call; each has the rates of all members
RUN_S = 0.25  # target duration of a call, between checks whether to stop
SCORED_AT_ONCE = 32  # number of documents whose losses are computed side by side


class Population:
    """The members of a population and their state on the device."""

    def __init__(self, dtype: DType) -> None:
        self.members: list[Member] = []
        self.until = 0  # step at which some member pauses
        self.step = 0  # number of completed steps
        self.past = deque[tuple[int, State]](maxlen=2)  # the step and state before recent calls
        self.losses: NDArray[Any] = np.empty((0, 0))  # of the steps of the last call: (P, steps)
        self._ahead = -1, self.losses  # the last `next_losses`, and their step
        self.dtype, self._n = dtype, 1

    def member(
        self,
        engine: EngineName,
        dtype: DType,
        model: ModelConfig,
        config: TrainConfig,
        docs: TokenDataset,
        rng: Random,
        **_: object,
    ) -> "Member":
        """Add a member with random weights; see `make_engine`."""
        self.members.append(Member(self, len(self.members), config, docs, model))
        self.members[-1].set_weights(initial_weights(model, rng))
        return self.members[-1]

    def start(self) -> None:
        """Move the members to the device, when all have been added."""
        datasets = [Dataset.of(member.docs) for member in self.members]
        configs = [member.config for member in self.members]
        model, longest = self.members[0].model, max(each.longest for each in datasets)
        has_dropout = any(config.dropout for config in configs)
        self._setup = replace(
            Setup.of(model, configs[0], longest, self.dtype), has_dropout=has_dropout
        )
        states = [member.initial for member in self.members]
        with device_errors(), precise():
            data = _stacked([data_of(each) for each in datasets])
            state = jax.tree.map(lambda *each: np.stack(each), *states)
            self._data = jax.device_put(data)
            self.state: State = jax.device_put(state)

    def advance(self) -> None:
        """Take some steps, at most up to step `until`."""
        n, started = min(self.until - self.step, self._n), perf_counter()
        self.past.append((self.step, self.state))
        self.state, self.losses = self.take_steps(self.step, self.state, n)
        self.step += n
        speed = n / (perf_counter() - started)
        self._n = max(1, min(int(speed * RUN_S), 10 * self._n, AT_ONCE))

    def take_steps(self, first: int, state: State, n: int) -> tuple[State, NDArray[Any]]:
        """Return the state after n steps, and the losses: (P, n), NaN from a failed step on."""
        steps = np.arange(first, first + n)
        rates = [rates_of(member.config, steps, self._setup.dtype) for member in self.members]
        padded = [Rates(*(np.resize(each, AT_ONCE) for each in of_one)) for of_one in rates]
        seeds = np.array([member.config.seed for member in self.members], np.uint64)
        with device_errors(), precise():
            stacked = Rates(*(np.stack(each) for each in zip(*padded, strict=True)))
            rest = self._data, stacked, seeds, np.int64(n)
            state, losses = _program(self._setup)(state, *rest)
            return state, np.asarray(losses)[:, :n]

    @property
    def next_losses(self) -> NDArray[Any]:
        """The loss of the next batch of each member: (P)."""
        step, losses = self._ahead
        if step != self.step:
            losses = self.take_steps(self.step, self.state, 1)[1][:, 0]
            self._ahead = self.step, losses
        return losses


class Member:
    """One model of a population, as an engine of a training run."""

    def __init__(
        self,
        population: Population,
        i: int,
        config: TrainConfig,
        docs: TokenDataset,
        model: ModelConfig,
    ) -> None:
        self._population, self._i = population, i
        self.config, self.docs, self.model = config, docs, model
        self.n_steps = 0
        self._undone: State | None = None  # after `undo`

    def set_weights(self, numbers: Sequence[float] | Numbers) -> None:
        """Set the initial weights from a sequence in the order of `weight_shapes`."""
        zeros = np.zeros(len(numbers))
        self.resume(0, numbers, zeros, zeros)

    def resume(self, step: int, weights: Any, adam_m: Any, adam_v: Any) -> None:
        """Set the initial state; all members must begin at the same step."""
        dtype = self._population.dtype
        parts = [from_flat(self.model, each, dtype) for each in (weights, adam_m, adam_v)]
        self.initial = State(parts[0], parts[1], parts[2], np.int64(step))
        self.n_steps = self._population.step = step

    def run(self, until: int) -> list[float]:
        """Return the losses of the next steps; the first member to ask lets all take them."""
        population = self._population
        if self.n_steps == population.step:
            population.advance()
        losses = population.losses[self._i]
        n_fine = int(np.isfinite(np.append(losses, np.nan)).argmin())
        self.n_steps += n_fine
        return [*map(float, losses[: n_fine + 1])]

    def backward(self, should_stop: Callable[[], bool] = lambda: False) -> float:
        """Return the loss of the next batch, or NaN if it or a gradient is not finite."""
        return float(self._population.next_losses[self._i])

    def undo(self) -> None:
        """Undo the last step: return to an earlier state and repeat all but the last step."""
        self.n_steps -= 1
        past = reversed(self._population.past)
        first, state = next(each for each in past if each[0] <= self.n_steps)
        if n := self.n_steps - first:
            state, _ = self._population.take_steps(first, state, n)
        self._undone = state

    def flat_weights(self) -> NDArray[Any]:
        """Return a flat copy of the weights in the order of `weight_shapes`."""
        return to_flat(self._state.weights)

    def numbers(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return flat copies of the weights and Adam moments in the order of `weight_shapes`."""
        state = self._state
        return to_flat(state.weights), to_flat(state.m), to_flat(state.v)

    @property
    def _state(self) -> State:
        """The state of this member, as NumPy arrays."""
        state: State = self._undone or self._population.state
        member: State = jax.tree.map(lambda each: np.asarray(each)[self._i], state)
        return member


def held_out_losses(
    model: ModelConfig, dtype: DType, weights: Sequence[Numbers], docs: EvaluationSet
) -> list[float]:
    """Return the mean loss of each model of one shape, in nats per token.

    Args:
        weights: flat weights of each model.
    """
    with device_errors(), precise():
        models = [from_flat(model, each, dtype) for each in weights]
        stacked = jax.tree.map(lambda *each: np.stack(each), *models)
        stacked, total = jax.device_put(stacked), np.zeros(len(weights))
        for portion in docs.portions:
            dataset = Dataset.of(portion)
            setup = Setup.of(model, TrainConfig(batch_size=SCORED_AT_ONCE), dataset.longest, dtype)
            total += np.asarray(_scores(setup)(stacked, data_of(dataset)))
    means: list[float] = (total / docs.n_tokens).tolist()
    return means


@lru_cache(maxsize=16)
def _program(setup: Setup) -> Callable[..., Any]:
    return jax.jit(jax.vmap(partial(take_steps, setup), in_axes=(0, 0, 0, 0, None)))


@lru_cache(maxsize=16)
def _scores(setup: Setup) -> Callable[..., Any]:
    """Return a function of stacked weights and documents that returns the sums of the losses."""
    return jax.jit(jax.vmap(partial(_score, setup), in_axes=(0, None)))


def _score(setup: Setup, weights: Weights, data: Data) -> Array:
    n_docs, B = len(data.begins), setup.batch_size

    def portion(i: Array) -> Array:
        batch = read_batch(setup, data, i, jnp.uint64(0))
        is_new = i * B + jnp.arange(B) < n_docs  # the last batch repeats the first documents
        losses = batch.counted * token_losses(setup, weights, batch, None)
        return (is_new[:, None] * losses).sum(dtype=jnp.float64)

    return jnp.sum(lax.map(portion, jnp.arange(-(-n_docs // B))))


def _stacked(datasets: Sequence[Data]) -> Data:
    """Return the documents of all members, repeated to the same number.

    A member reads a repeated document only where it would begin again with the first.
    """
    columns = zip(*datasets, strict=True)
    lengths = [max(len(each) for each in column) for column in zip(*datasets, strict=True)]
    return Data(
        *(
            np.stack([np.resize(each, (n, *each.shape[1:])) for each in column])
            for n, column in zip(lengths, columns, strict=True)
        )
    )
