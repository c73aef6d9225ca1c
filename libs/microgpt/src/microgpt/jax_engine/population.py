"""Models of one shape that are trained together: one program takes the steps of all of them.

The members may differ in their seed, steps, learning rate, dropout and weight decay. The arrays of
all members are stacked: their first axis is P, the number of members.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from time import perf_counter
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from microgpt.config import TrainConfig
from microgpt.engine.dataset import Dataset
from microgpt.engine.weights import initial_weights
from microgpt.jax_engine.step import Data, Rates, Setup, State, data_of, precise, rates_of
from microgpt.jax_engine.trainer import JaxEngine, device_errors, take_steps

AT_ONCE = 256  # maximum number of steps per call; each has the rates of all members
RUN_S = 0.25  # target duration of a call, between checks whether to stop


class JaxPopulation:
    """The members and their state on the device."""

    def __init__(self) -> None:
        self.members: list[JaxMember] = []
        self.until = 0  # step at which some member pauses
        self.step = 0  # number of completed steps
        self.losses: NDArray[Any] = np.empty((0, 0))  # of the steps of the last call: (P, steps)
        self.state: State | None = None  # of all members; None before the start
        self._n = 1  # number of steps of the next call
        self._ahead = -1, self.losses  # a step, and the losses of one step more: (P, 1)

    def member(self, *settings: Any, **_: object) -> "JaxMember":
        """Add a member with random weights; the arguments are those of `make_engine`."""
        _engine, dtype, model, config, docs, rng = settings
        data = Dataset.of(docs)
        setup = Setup.of(model, config, data.longest, dtype)
        self.members.append(JaxMember(self, config, data, setup))
        self.members[-1].set_weights(initial_weights(model, rng))
        return self.members[-1]

    def start(self) -> None:
        """Move all members to the device."""
        setups = [member.setup for member in self.members]
        self._setup = replace(
            setups[0],
            longest=max(setup.longest for setup in setups),
            has_dropout=any(setup.has_dropout for setup in setups),
        )
        states = [member.initial for member in self.members]
        with device_errors(), precise():
            self._data = jax.device_put(_stacked([data_of(each.data) for each in self.members]))
            self.state = jax.device_put(jax.tree.map(lambda *each: np.stack(each), *states))

    def advance(self) -> None:
        """Take some steps, at most up to step `until`."""
        n, started = min(self.until - self.step, self._n), perf_counter()
        self.state, self.losses = self._take_steps(n)
        self.step += n
        speed = n / (perf_counter() - started)
        self._n = max(1, min(int(speed * RUN_S), 10 * self._n, AT_ONCE))

    def next_loss(self, i: int) -> float:
        """Return the loss of the next batch of a member."""
        if self._ahead[0] != self.step:
            self._ahead = self.step, self._take_steps(1)[1]
        return float(self._ahead[1][i, 0])

    def _take_steps(self, n: int) -> tuple[State, NDArray[Any]]:
        """Return the state after n steps, and the losses: (P, n), NaN from a failed step on."""
        steps = np.resize(np.arange(self.step, self.step + n), AT_ONCE)
        rates = [rates_of(member.config, steps, self._setup.dtype) for member in self.members]
        seeds = np.array([member.config.seed for member in self.members], np.uint64)
        with device_errors(), precise():
            stacked = Rates._make(np.stack(each) for each in zip(*rates, strict=True))
            program = _program(self._setup)
            state, losses = program(self.state, self._data, stacked, seeds, np.int64(n))
            return state, np.asarray(losses)[:, :n]


class JaxMember(JaxEngine):
    """One model of a population, as the engine of a training run."""

    def __init__(
        self, population: JaxPopulation, config: TrainConfig, data: Dataset, setup: Setup
    ) -> None:
        self._population, self._i, self._n_steps = population, len(population.members), 0
        self.config, self.data, self.setup = config, data, setup
        self._setup, self._everywhere = setup, None  # of a JaxEngine

    @property
    def n_steps(self) -> int:
        """The number of steps whose losses have been returned."""
        return self._n_steps

    @property
    def _state(self) -> State:
        """The state of this member, as NumPy arrays."""
        state: State | None = self._population.state
        member: State = jax.tree.map(lambda each: np.asarray(each)[self._i], state)
        return member if state else self.initial

    @_state.setter
    def _state(self, state: State) -> None:
        self.initial = state

    def run(self, until: int) -> list[float]:
        """Return the losses of the next steps; the first member to ask lets all take them."""
        if self._n_steps == self._population.step:
            self._population.advance()
        losses: list[float] = self._population.losses[self._i].tolist()
        n_fine = int(np.isfinite([*losses, np.nan]).argmin())
        self._n_steps += n_fine
        return losses[: n_fine + 1]

    def backward(self, should_stop: Callable[[], bool] = lambda: False) -> float:
        """Return the loss of the next batch, or NaN if it or a gradient is not finite."""
        return self._population.next_loss(self._i)

    def undo(self) -> None:
        """Do nothing: a diverged member has no result."""


@lru_cache(maxsize=16)
def _program(setup: Setup) -> Callable[..., Any]:
    return jax.jit(jax.vmap(partial(take_steps, setup), in_axes=(0, 0, 0, 0, None)))


def _stacked(datasets: Sequence[Data]) -> Data:
    """Return the documents of all members, repeated to the same number.

    A member reads a repeated document only where it would begin again with the first.
    """

    def stack(*arrays: Any) -> NDArray[Any]:
        n = max(map(len, arrays))
        return np.stack([np.resize(each, (n, *each.shape[1:])) for each in arrays])

    return Data._make(map(stack, *datasets))
