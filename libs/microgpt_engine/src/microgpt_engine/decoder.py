"""Decode batches of sequences in calls of about 20 ms; several callers can share a batch.

The arrays of `Sequences` have one row per sequence; those of the kernel have one row per token. See
docs/engine.md#decoding.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from microgpt import (
    NO_TOKEN_LEFT_MESSAGE,
    NOT_FINITE_MESSAGE,
    Continuation,
    DecodeRules,
    FinishReason,
    Job,
    PromptError,
    count_params,
)
from microgpt_engine import random_numbers
from microgpt_engine.buffers import (
    BROKEN,
    FORBIDDEN,
    FULL,
    NO_RULE,
    RUNNING,
    STOP,
    STUCK,
    DecodeArrays,
    Sequences,
    allocate_cache,
    allocate_rows,
)
from microgpt_engine.kernel_cache import EntryPoint
from microgpt_engine.kernel_settings import model_settings

if TYPE_CHECKING:
    from microgpt_engine.compiled_model import CompiledModel

RUN_S = 0.02  # target duration of one `run` call, in seconds
WORK_5_MS = 10**8  # number of weights times tokens that a 2023 CPU core processes in 5 ms
MAX_ROWS = 64  # maximum number of tokens per decoding step; only long prompts reach this limit
MAX_SLOTS = 50  # maximum number of concurrent sequences; more slots are not faster
CACHE_BYTES = 2**22  # maximum bytes of all keys and values, but at least the size of the weights
MAX_REUSED_BYTES = 2**23  # maximum size of a sequence's keys and values in reusable arrays
REASONS: list[FinishReason | None] = [None, "stop", "length", None, None]  # finish reason by status

decode = EntryPoint("microgpt_engine.kernels.decode:decode")


class Decoder:
    """Decoder for a batch of sequences. Not thread-safe."""

    def __init__(
        self,
        model: "CompiledModel",
        prompts: Sequence[Sequence[int]],
        rules: DecodeRules,
        *,
        seeds: Sequence[int] = (),
        arrays: DecodeArrays | None = None,
    ) -> None:
        """Prepare the sequences for `run`.

        Args:
            prompts: 1 to block_size tokens each.
            seeds: one seed of `random.Random` per prompt. Without seeds, the caller must set
                `sequences.uniforms` before the first `run`.
            arrays: arrays of a finished decoder of the same model, for reuse. None allocates arrays
                for full contexts, or for the longest sequence if one exceeds MAX_REUSED_BYTES.
        """
        config, dtype = model.config, model.dtype
        n_bytes = np.dtype(dtype).itemsize
        slot_bytes = 2 * config.n_layer * config.block_size * config.n_embd * n_bytes
        cache_bytes = max(CACHE_BYTES, count_params(config) * n_bytes)  # larger caches hardly help
        most_slots = max(1, min(MAX_SLOTS, cache_bytes // slot_bytes))
        self.is_reusable = slot_bytes <= MAX_REUSED_BYTES  # whether other decoders can reuse arrays
        n_slots = min(len(prompts), most_slots)
        self._config, self._dtype, self._weights = config, dtype, model.decode_weights
        self.sequences = self._new_sequences(prompts, rules, n_slots)
        self._seeds = seeds if rules.sampling.temperature else ()
        self._n_taken = list(map(len, prompts))  # tokens per sequence at the last `take`
        self._n_drawn = 0  # number of random numbers drawn for each sequence
        most_rows = 1 + 4 * WORK_5_MS // count_params(config)  # so that a step takes at most 20 ms
        shape = config
        if not self.is_reusable:
            n_tokens = min(self.sequences.tokens.shape[1], config.block_size)
            shape = replace(config, block_size=n_tokens)
        # Unused slots are never accessed, so the operating system allocates no memory for them.
        self.arrays = arrays or DecodeArrays(
            allocate_cache(shape, dtype, most_slots),
            allocate_rows(shape, dtype, max(most_slots, min(MAX_ROWS, most_rows))),
        )
        # Token budget of the next `run` call.
        self._n_tokens = 1 + WORK_5_MS // count_params(config)

    def _new_sequences(
        self, prompts: Sequence[Sequence[int]], rules: DecodeRules, n_slots: int
    ) -> Sequences:
        """Return the initial state of the sequences, with `uniforms` set to 0."""
        model, sampling, max_tokens = self._config, rules.sampling, rules.max_tokens
        lengths = np.array([len(prompt) for prompt in prompts])
        n, shortest, longest = len(lengths), int(lengths.min()), int(lengths.max())
        most_new = max_tokens or model.block_size - shortest + 1
        tokens = np.zeros((n, longest + most_new), np.int64)
        if shortest == longest:
            tokens[:, :longest] = prompts
        else:
            for row, prompt in zip(tokens, prompts, strict=True):
                row[: len(prompt)] = prompt
        token_rules = np.zeros(model.vocab_size, np.int64)
        for rule, which in ((STOP, rules.stop), (FORBIDDEN, rules.forbidden)):
            token_rules[[token for token in which if token in range(model.vocab_size)]] = rule
        temperature, limits = float(sampling.temperature), np.finfo(self._dtype)
        if temperature:  # rounding to dtype must not yield 0 or infinity, which would lead to NaN
            temperature = max(temperature, float(limits.smallest_subnormal))
            temperature = min(temperature, float(limits.max))
        return Sequences(
            tokens=tokens,
            n_prompt=lengths,
            n_tokens=lengths.copy(),
            first=np.zeros(n, np.int64),
            n_read=np.zeros(n, np.int64),
            goals=lengths + most_new if max_tokens else np.full(n, model.block_size + 1),
            status=np.full(n, RUNNING),
            uniforms=np.zeros((n, most_new)),
            slots=np.full(n_slots, -1),
            n_started=np.zeros(1, np.int64),
            rules=token_rules,
            barred=FORBIDDEN if FORBIDDEN in token_rules else NO_RULE,
            min_tokens=rules.min_tokens,
            temperature=temperature,
            top_k=sampling.top_k or 0,
            top_p=float(sampling.top_p),
            min_p=float(sampling.min_p),
        )

    def run(self) -> bool:
        """Decode for about 20 ms; return whether any sequence is still running."""
        s = self.sequences
        self._draw(int((s.n_tokens - s.n_prompt).max()) + self._n_tokens + 1)
        n_positions = int(s.n_tokens.max()) + self._n_tokens  # maximum length after this call
        settings = model_settings(self._config, self._dtype, n_positions)
        started = perf_counter()
        n_read = decode(self._weights, self.arrays, s, settings, self._n_tokens)
        speed = n_read / (perf_counter() - started)
        self._n_tokens = max(1, min(int(speed * RUN_S), 10 * self._n_tokens))
        return RUNNING in self.sequences.status

    def _draw(self, n: int) -> None:
        """Draw random numbers until each sequence has at least n, or one per possible new token."""
        most = self.sequences.uniforms.shape[1]
        if self._seeds and self._n_drawn < min(n, most):
            self._n_drawn = min(max(n, 2 * self._n_drawn), most)
            drawn = random_numbers.uniforms(self._seeds, self._n_drawn)
            self.sequences.uniforms[:, : self._n_drawn] = drawn

    def tokens(self) -> list[list[int]]:
        """Return the new tokens of all sequences so far."""
        s = self.sequences
        starts, ends = s.n_prompt.tolist(), s.n_tokens.tolist()
        found = s.tokens[:, : max(ends)].tolist()  # no sequence has reached later columns
        return [tokens[i:end] for tokens, i, end in zip(found, starts, ends, strict=True)]

    def take(self, rows: slice) -> list[Continuation]:
        """Return the selected sequences' tokens since the last `take`, and their finish reasons."""
        s, found = self.sequences, []
        for i, end in zip(range(len(s.status))[rows], s.n_tokens[rows].tolist(), strict=True):
            start, self._n_taken[i] = self._n_taken[i], end
            found.append(Continuation(s.tokens[i, start:end].tolist(), REASONS[s.status[i]]))
        return found

    def check(self, i: int) -> None:
        """Raise PromptError if sequence i failed: a logit is not finite or no token is allowed."""
        status = self.sequences.status[i]
        if status == BROKEN:
            raise PromptError(NOT_FINITE_MESSAGE)
        if status == STUCK:
            raise PromptError(NO_TOKEN_LEFT_MESSAGE)


class Batch:
    """Jobs of several callers with the same sampling rules, decoded together. Not thread-safe.

    Between calls of `run`, the caller can collect finished jobs, cancel jobs and switch to another
    batch. The result of a job does not depend on the other jobs; it equals the result of
    `InferenceGpt.samples` or `InferenceGpt.chat`.
    """

    def __init__(
        self, model: "CompiledModel", jobs: Sequence[Job], spare: list[DecodeArrays]
    ) -> None:
        """Create a decoder for all jobs. Jobs with fewer sequences start first.

        A batch takes its arrays from `spare`, and puts them back when its last job ends, unless
        they are large.
        """
        self.open: dict[int, slice] = {}
        pairs: list[tuple[Sequence[int], int]] = []
        for number in sorted(range(len(jobs)), key=lambda number: jobs[number].n_sequences):
            start, job = len(pairs), jobs[number]
            pairs += product(job.prompts, job.seeds)
            self.open[number] = slice(start, len(pairs))
        prompts, seeds = zip(*pairs, strict=True)
        try:
            arrays = spare.pop()
        except IndexError:  # no arrays are left; another thread can have taken the last ones
            arrays = None
        self._decoder = Decoder(model, prompts, jobs[0].rules, seeds=seeds, arrays=arrays)
        self._spare = spare if self._decoder.is_reusable else []

    def run(self) -> list[tuple[int, list[Continuation] | PromptError]]:
        """Decode for about 20 ms; return the index and result of each job that ended.

        A result is the output that `take` has not yet returned, or a PromptError.
        """
        if self.open:
            self._decoder.run()
        status = self._decoder.sequences.status.tolist()
        ended = [number for number, rows in self.open.items() if RUNNING not in status[rows]]
        results = [(number, self._result(self.open.pop(number))) for number in ended]
        if ended and not self.open:
            self._spare.append(self._decoder.arrays)
        return results

    def take(self, number: int) -> list[Continuation]:
        """Return the output that an unfinished job has generated since the last call."""
        return self._decoder.take(self.open[number])

    def drop(self, number: int) -> None:
        """Cancel an unfinished job."""
        self._decoder.sequences.status[self.open.pop(number)] = FULL
        if not self.open:
            self._spare.append(self._decoder.arrays)

    def _result(self, rows: slice) -> list[Continuation] | PromptError:
        try:
            for i in range(rows.start, rows.stop):
                self._decoder.check(i)
        except PromptError as error:
            return error
        return self._decoder.take(rows)
