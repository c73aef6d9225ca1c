"""Batched decoding: many sequences side by side, a few milliseconds per call."""

from collections.abc import Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig
from microgpt.engine import mersenne
from microgpt.engine.decoding.decode_kernel import DecodeArrays, allocate_rows, decode
from microgpt.engine.decoding.kv_cache import allocate_cache
from microgpt.engine.decoding.sequences import (
    BROKEN,
    RUNNING,
    STOPPED,
    STUCK,
    new_sequences,
)
from microgpt.engine.weights import DecodeWeights
from microgpt.errors import PromptError
from microgpt.model import count_params
from microgpt.sampling import (
    NO_TOKEN_LEFT_MESSAGE,
    NOT_FINITE_MESSAGE,
    Continuation,
    DecodeRules,
    FinishReason,
)

RUN_S = 0.02  # how long a call of `run` takes, about
WORK_5_MS = 10**8  # weights times tokens, on a core of 2023
MAX_ROWS = 64  # tokens that are read in one turn; only a long prompt has so many
MAX_SLOTS = 50  # sequences in work at once; more gain nothing
CACHE_BYTES = 2**24  # of their keys and values together: they should stay near the processor
MOST_TOKENS = 2**20  # of all sequences of a batch, when they are as long as they can be
REASONS: list[FinishReason | None] = [None, "stop", "length", None, None]  # by status


class Decoder:
    """Some sequences of one model, for one thread."""

    def __init__(
        self,
        model: ModelConfig,
        dtype: str,
        weights: DecodeWeights,
        prompts: Sequence[Sequence[int]],
        rules: DecodeRules,
        *,
        seeds: Sequence[int] = (),
        max_slots: int = MAX_SLOTS,
        arrays: DecodeArrays | None = None,
    ) -> None:
        """Begin.

        Args:
            prompts: 1 to block_size tokens each.
            rules: how they are continued.
            seeds: one for each prompt, which draws like `random.Random(seed)`; without them the
                caller sets `uniforms` before the first `run`.
            max_slots: no more sequences are in work at once.
            arrays: those of a decoder of this model that has ended, to be used again.
        """
        bytes_a_slot = (
            2 * model.n_layer * model.block_size * model.n_embd * np.dtype(dtype).itemsize
        )
        most_slots = max(1, min(max_slots, CACHE_BYTES // bytes_a_slot))
        self.sequences = new_sequences(
            model,
            dtype,
            prompts,
            rules,
            n_slots=min(len(prompts), most_slots),
        )
        if seeds and rules.sampling.temperature:
            self.uniforms[:] = mersenne.uniforms(seeds, self.uniforms.shape[1])
        self._n_head = model.n_head
        self._weights = weights
        most_rows = 1 + 4 * WORK_5_MS // count_params(model)  # a turn cannot be interrupted
        # Slots that nothing needs are never touched, so they take no memory.
        self.arrays = arrays or DecodeArrays(
            allocate_cache(model, dtype, most_slots),
            allocate_rows(model, dtype, max(most_slots, min(MAX_ROWS, most_rows))),
        )
        self._n_tokens = 1 + WORK_5_MS // count_params(model)  # of the first call of `run`

    @property
    def uniforms(self) -> NDArray[np.float64]:
        """One number from 0 to 1 for each new token: (sequences, most new tokens)."""
        uniforms: NDArray[np.float64] = self.sequences.uniforms
        return uniforms

    def run(self) -> bool:
        """Work for about 20 ms; return whether there is more to do."""
        started = perf_counter()
        n_read = decode(self._weights, self.arrays, self.sequences, self._n_head, self._n_tokens)
        speed = n_read / (perf_counter() - started)
        self._n_tokens = max(1, min(int(speed * RUN_S), 10 * self._n_tokens))
        return RUNNING in self.sequences.status

    def continuations(self, rows: slice = slice(None)) -> list[Continuation]:
        """Return what has come of some sequences so far."""
        s = self.sequences
        arrays = (s.tokens, s.n_prompt, s.n_tokens, s.status)
        return [
            Continuation(
                tokens[begin:end], REASONS[status], tokens[end] if status == STOPPED else None
            )
            for tokens, begin, end, status in zip(*(a[rows].tolist() for a in arrays), strict=True)
        ]

    def check(self, i: int) -> None:
        """Raise PromptError if a sequence could not go on: a bad score, or no token allowed."""
        status = self.sequences.status[i]
        if status == BROKEN:
            raise PromptError(NOT_FINITE_MESSAGE)
        if status == STUCK:
            raise PromptError(NO_TOKEN_LEFT_MESSAGE)


def most_sequences(model: ModelConfig) -> int:
    """Return how many sequences a batch should have at most, for the memory that they take."""
    return max(1, MOST_TOKENS // model.block_size)
