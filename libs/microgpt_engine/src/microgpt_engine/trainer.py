"""Training with the compiled engine; each call trains for a fraction of a second.

Buffers have the layout "columns"; weights, gradients and running means have the layout "weights".
Callers get flat copies in the order of `weight_shapes`. See docs/engine.md#a-step.
"""

from collections.abc import Sequence
from functools import lru_cache
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt import ModelConfig, Numbers, Tokens, TrainConfig
from microgpt_engine.buffers import (
    Buffers,
    Dataset,
    OptimizerState,
    Workspace,
    allocate_buffers,
    muon_shapes,
)
from microgpt_engine.kernel_cache import EntryPoint
from microgpt_engine.kernel_settings import model_settings, train_settings
from microgpt_engine.weight_layout import PackedWeights, aligned_zeros

# Tokens per micro-batch if the documents are short: enough to fill the vectors, and few enough for
# the activations to fit into the cache and for several threads to share a batch.
MICRO_BATCH = 128
RUN_S = 0.02  # target duration of one `run` call, in seconds
MAX_STEPS = 8192  # maximum number of steps per kernel call

take_steps = EntryPoint("microgpt_engine.kernels.step:take_steps")


class CompiledTraining:
    """A model being trained by the compiled engine, with its optimizer state."""

    def __init__(
        self, model: ModelConfig, config: TrainConfig, docs: Sequence[Tokens], *, dtype: str
    ) -> None:
        """Set the weights to 0. Training repeats `docs`, of 2 to block_size + 1 tokens each."""
        self.config = config
        self._dataset = Dataset.from_documents(docs)
        self.settings = model_settings(model, dtype), train_settings(config)
        self._params, self._grads, self._m, self._v = (
            PackedWeights(model, dtype) for _ in range(4)
        )
        self._directions, self._scratch = (
            aligned_zeros(shape, dtype) for shape in muon_shapes(model, config, dtype)
        )
        longest = self._dataset.longest
        buffers = allocate_buffers(model, dtype, n_columns(config, longest), longest)
        self.workspace = self._make_workspace(self._params, self._grads, buffers)
        self._workspaces = [self.workspace]
        self._progress = self.workspace.progress
        self._n_tokens = 1  # token budget of the next `run` call
        self._grads_are_fresh = True  # whether the gradients belong to the current step

    @property
    def n_steps(self) -> int:
        """The number of optimizer updates so far."""
        return int(self._progress[0])

    def set_weights(self, numbers: Sequence[float] | Numbers) -> None:
        """Set the initial weights from a sequence in the order of `weight_shapes`."""
        self._params.set(numbers)
        self._discard_batch()

    def resume(self, step: int, weights: Numbers, adam_m: Numbers, adam_v: Numbers) -> None:
        """Restore the state after `step` steps of an earlier training run."""
        self._params.set(weights)
        self._m.set(adam_m)
        self._v.set(adam_v)
        self._progress[0] = step
        self._discard_batch()

    def run(self, until: int) -> list[float]:
        """Train for about 20 ms, up to step `until`; return the losses of the steps taken.

        A longer step is spread over several calls, the last of which returns the loss.
        See `ReferenceTraining.run` for the meaning of a final NaN.
        """
        started = perf_counter()
        if not self._grads_are_fresh:
            self._discard_batch()
        losses, n_read = self._take_steps(until, self._n_tokens)
        # Aim for 20 ms in the next call, but increase the tokens at most tenfold, because the
        # measured time is unreliable: it can include compilation or waiting for a processor.
        speed = n_read / (perf_counter() - started)
        self._n_tokens = max(1, min(int(speed * RUN_S), 10 * self._n_tokens))
        return losses

    def backward(self) -> float:
        """Compute the next step's gradients; return the loss, or NaN if any value is not finite."""
        self._discard_batch()
        losses = list[float]()
        while not losses:
            losses, _ = self._take_steps(self.n_steps + 1, self._n_tokens, update=False)
        self._grads_are_fresh = False  # kept for `grads`, discarded by the next `run`
        self._progress[1:] = 0
        return losses[0]

    def flat_weights(self) -> NDArray[Any]:
        """Return a flat copy of the weights in the order of `weight_shapes`."""
        return self._params.flat()

    def numbers(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return flat copies of the weights and Adam moments in the order of `weight_shapes`."""
        return self.flat_weights(), self._m.flat(), self._v.flat()

    def grads(self) -> NDArray[Any]:
        """Return a flat copy of the gradients of the last `backward` call."""
        return self._grads.flat()

    def _make_workspace(
        self, params: PackedWeights, grads: PackedWeights, buffers: Buffers
    ) -> Workspace:
        state = OptimizerState(
            params.array, grads.array, self._m.array, self._v.array, self._directions
        )
        progress = np.zeros(3, np.float64)
        matrices = params.matrices, grads.matrices
        return Workspace(state, *matrices, buffers, self._scratch, progress)

    def _take_steps(
        self, until: int, n_tokens: int, *, update: bool = True
    ) -> tuple[list[float], int]:
        """Take steps; return their losses (NaN for a failed step) and the number of tokens."""
        first = self.n_steps
        losses = np.zeros(min(until - first, MAX_STEPS), np.float64)
        n_read = self._work(self.workspace, losses, n_tokens, update=update)
        n_losses = self.n_steps - first
        is_more = n_losses < losses.size and self._progress[1] == self.config.batch_size
        return losses[: n_losses + is_more].tolist(), n_read

    def _work(
        self, workspace: Workspace, losses: NDArray[Any], n_tokens: int, *, update: bool
    ) -> int:
        """Take up to len(losses) training steps; return the number of tokens processed."""
        first = int(workspace.progress[0])
        lrs = learning_rates(self.config, np.arange(first, first + losses.size))
        return take_steps(workspace, self._dataset, *self.settings, lrs, losses, update, n_tokens)

    def _discard_batch(self) -> None:
        """Set the gradients to 0 and restart the current step from the first document."""
        self._progress[1:] = 0
        self._grads.array[:] = 0
        self._grads_are_fresh = True


def n_columns(config: TrainConfig, longest: int) -> int:
    """Return the maximum number of tokens in a micro-batch."""
    return min(max(longest, MICRO_BATCH), longest * config.batch_size)


def learning_rates(config: TrainConfig, steps: NDArray[Any]) -> NDArray[Any]:
    """Return the learning rate of each step; array version of `TrainConfig.lr_at`."""
    if type(config) is not TrainConfig:
        return np.asarray(_own_rates(config)[np.minimum(steps, config.steps)])
    warmup = np.minimum(1.0, (steps + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    return np.asarray(config.initial_lr * warmup * (1 - steps / config.steps))


@lru_cache(maxsize=4)
def _own_rates(config: TrainConfig) -> NDArray[Any]:
    """Return the learning rates of a user-defined schedule; cached, as the schedule can be slow.

    The last element is an extra rate of 0, for gradients that are computed after the last step.
    """
    return np.array([*(float(config.lr_at(step)) for step in range(config.steps)), 0.0])
