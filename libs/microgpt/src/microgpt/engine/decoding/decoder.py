"""Sequences in work, a few milliseconds at a time: what stands between Python and `decode`."""

from collections.abc import Collection, Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt.config import ModelConfig, Sampling
from microgpt.engine.decoding.decode import Rows, allocate_rows, decode
from microgpt.engine.decoding.kv_cache import KVCache, allocate_cache
from microgpt.engine.decoding.sequences import BROKEN, RUNNING, STUCK, new_sequences
from microgpt.engine.weights import DecodeWeights
from microgpt.errors import PromptError
from microgpt.model import count_params
from microgpt.sampling import NO_TOKEN_LEFT_MESSAGE, NOT_FINITE_MESSAGE

RUN_S = 0.02  # how long a call of `run` takes, about
WORK_5_MS = 10**8  # weights times tokens, on a core of 2023
MAX_ROWS = 64  # tokens that are read in one turn; only a long prompt has so many
MAX_SLOTS = 50  # sequences in work at once; more gain nothing
CACHE_BYTES = 2**24  # of their keys and values together: they should stay near the processor


class DecodeArrays(NamedTuple):
    """What a decoder works in. To allocate it takes longer than a short reply, so use it again."""

    cache: KVCache
    rows: Rows


class Decoder:
    """Some sequences of one model, for one thread."""

    def __init__(
        self,
        model: ModelConfig,
        dtype: str,
        weights: DecodeWeights,
        prompts: Sequence[Sequence[int]],
        *,
        stop: Collection[int],
        forbidden: Collection[int],
        min_tokens: int,
        max_tokens: int | None,
        sampling: Sampling,
        max_slots: int = MAX_SLOTS,
        arrays: DecodeArrays | None = None,
    ) -> None:
        """Begin; see `sampling.decode`. The uniforms are to be set before the first `run`.

        No more than max_slots sequences are in work at once. The arrays, of a decoder of this model
        that has come to its end, are used again.
        """
        bytes_a_slot = (
            2 * model.n_layer * model.block_size * model.n_embd * np.dtype(dtype).itemsize
        )
        most_slots = max(1, min(max_slots, CACHE_BYTES // bytes_a_slot))
        self.sequences = new_sequences(
            model,
            dtype,
            prompts,
            stop=stop,
            forbidden=forbidden,
            min_tokens=min_tokens,
            max_tokens=max_tokens,
            sampling=sampling,
            n_slots=min(len(prompts), most_slots),
        )
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
        n_read = decode(
            self.arrays.rows.x,
            self._weights,
            self.arrays.cache,
            self.arrays.rows,
            self._n_head,
            self.sequences,
            self._n_tokens,
        )
        speed = n_read / (perf_counter() - started)
        self._n_tokens = max(1, min(int(speed * RUN_S), 10 * self._n_tokens))
        return RUNNING in self.sequences.status

    def check(self, i: int) -> None:
        """Raise PromptError if a sequence could not go on: a bad score, or no token allowed."""
        status = self.sequences.status[i]
        if status == BROKEN:
            raise PromptError(NOT_FINITE_MESSAGE)
        if status == STUCK:
            raise PromptError(NO_TOKEN_LEFT_MESSAGE)
