"""Batched decoding of many sequences, a few milliseconds per call."""

from collections.abc import Sequence
from time import perf_counter

import numpy as np

from microgpt.config import ModelConfig
from microgpt.engine import mersenne
from microgpt.engine.decoding.decode_kernel import (
    BROKEN,
    RUNNING,
    STOPPED,
    STUCK,
    DecodeArrays,
    Sequences,
    allocate_rows,
    decode,
)
from microgpt.engine.decoding.kv_cache import allocate_cache
from microgpt.engine.decoding.sample import FORBIDDEN, NO_RULE, STOP
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

RUN_S = 0.02  # target duration of a `run` call
WORK_5_MS = 10**8  # weights times tokens, on a core of 2023
MAX_ROWS = 64  # tokens per turn; reached only by long prompts
MAX_SLOTS = 50  # concurrent sequences; more gain nothing
CACHE_BYTES = 2**24  # of their keys and values, to stay in the processor's cache
MAX_BATCH_TOKENS = 2**20  # of all sequences of a batch at their maximum length
REASONS: list[FinishReason | None] = [None, "stop", "length", None, None]  # by status


class Decoder:
    """Sequences of one model, decoded in one thread."""

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
        """Start decoding.

        Args:
            prompts: 1 to block_size tokens each.
            seeds: one per prompt, which draws like `random.Random(seed)`; without them the caller
                sets `sequences.uniforms` before the first `run`.
            max_slots: limit of concurrent sequences.
            arrays: those of a finished decoder of this model, for reuse.
        """
        slot_size = 2 * model.n_layer * model.block_size * model.n_embd
        most_slots = max(1, min(max_slots, CACHE_BYTES // (slot_size * np.dtype(dtype).itemsize)))
        n_slots = min(len(prompts), most_slots)
        self.sequences = _new_sequences(model, dtype, prompts, rules, n_slots)
        if seeds and rules.sampling.temperature:
            uniforms = self.sequences.uniforms
            uniforms[:] = mersenne.uniforms(seeds, uniforms.shape[1])
        self._n_head = model.n_head
        self._weights = weights
        most_rows = 1 + 4 * WORK_5_MS // count_params(model)  # a turn cannot be interrupted
        # Unused slots are never touched, so they take no memory.
        self.arrays = arrays or DecodeArrays(
            allocate_cache(model, dtype, most_slots),
            allocate_rows(model, dtype, max(most_slots, min(MAX_ROWS, most_rows))),
        )
        self._n_tokens = 1 + WORK_5_MS // count_params(model)  # of the first call of `run`

    def run(self) -> bool:
        """Decode for about 20 ms; return whether a sequence is still running."""
        started = perf_counter()
        n_read = decode(self._weights, self.arrays, self.sequences, self._n_head, self._n_tokens)
        speed = n_read / (perf_counter() - started)
        self._n_tokens = max(1, min(int(speed * RUN_S), 10 * self._n_tokens))
        return RUNNING in self.sequences.status

    def tokens(self, rows: slice = slice(None)) -> list[list[int]]:
        """Return the new tokens of some prompts so far."""
        s = self.sequences
        arrays = (s.tokens[rows].tolist(), s.n_prompt[rows].tolist(), s.n_tokens[rows].tolist())
        return [tokens[start:end] for tokens, start, end in zip(*arrays, strict=True)]

    def continuations(self, rows: slice = slice(None)) -> list[Continuation]:
        """Return the new tokens of some prompts so far, with finish reasons."""
        s = self.sequences
        return [
            Continuation(
                tokens,
                REASONS[status],
                int(s.tokens[i, s.n_tokens[i]]) if status == STOPPED else None,
            )
            for i, tokens, status in zip(
                range(len(s.status))[rows], self.tokens(rows), s.status[rows].tolist(), strict=True
            )
        ]

    def check(self, i: int) -> None:
        """Raise PromptError if a sequence failed: a non-finite logit, or no allowed token."""
        status = self.sequences.status[i]
        if status == BROKEN:
            raise PromptError(NOT_FINITE_MESSAGE)
        if status == STUCK:
            raise PromptError(NO_TOKEN_LEFT_MESSAGE)


def max_sequences(model: ModelConfig, rules: DecodeRules) -> int:
    """Return the maximum number of sequences in a batch, limited by memory."""
    return max(1, MAX_BATCH_TOKENS // (model.block_size + (rules.max_tokens or 0)))


def _new_sequences(
    model: ModelConfig,
    dtype: str,
    prompts: Sequence[Sequence[int]],
    rules: DecodeRules,
    n_slots: int,
) -> Sequences:
    """Return sequences that start with the prompts, without uniforms."""
    sampling, max_tokens = rules.sampling, rules.max_tokens
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
    temperature, limits = float(sampling.temperature), np.finfo(dtype)
    if temperature:  # 0 or infinity after rounding to dtype would give nan
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
