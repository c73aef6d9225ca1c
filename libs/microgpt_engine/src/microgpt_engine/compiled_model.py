"""Compiled inference with a trained model, used by `InferenceGpt`.

Threads can share a model: its weights are read-only, and each call allocates its own buffers.
Evaluation uses the layout "columns"; decoding uses "rows", with the weights in panels. Losses and
probabilities have a row per prediction. See docs/engine.md#decoding.
"""

import random
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt import (
    NOT_FINITE_MESSAGE,
    DecodeRules,
    DType,
    FinishReason,
    Job,
    ModelConfig,
    Numbers,
    PromptError,
    Tokens,
    Weights,
    count_params,
    map_in_threads,
)
from microgpt_engine.buffers import (
    FULL,
    NO_ROWS,
    RUNNING,
    STOPPED,
    Buffers,
    Dataset,
    DecodeArrays,
    allocate_buffers,
)
from microgpt_engine.decoder import WORK_5_MS, Batch, Decoder
from microgpt_engine.kernel_cache import EntryPoint
from microgpt_engine.kernel_settings import model_settings
from microgpt_engine.weight_layout import DecodeWeights, PackedWeights, for_decoding

EVAL_TOKENS = 256  # maximum number of tokens per micro-batch, unless one document has more
CALL_WORK = 10**9  # number of weights times tokens per kernel call; a call takes about 20 ms
MAX_BATCH_TOKENS = 2**20  # maximum number of tokens per batch if all sequences reach full length
GROUP = 1024  # maximum number of sequences per decoder; larger groups are not faster

evaluate = EntryPoint("microgpt_engine.kernels.forward:evaluate")


class CompiledModel:
    """A trained model with its weights in read-only packed arrays."""

    def __init__(
        self, config: ModelConfig, weights: Weights[float] | Numbers, dtype: DType
    ) -> None:
        self.config = config
        self.dtype: DType = dtype
        packed = PackedWeights(config, dtype)
        packed.set(weights)
        self._weights = packed.matrices
        _make_read_only(packed.array, *packed.matrices)
        self._spare: list[DecodeArrays] = []  # arrays of finished batches, for reuse

    @cached_property
    def decode_weights(self) -> DecodeWeights:
        """The weights in the layout that `Decoder` requires, converted on first use."""
        weights = for_decoding(self._weights, self.dtype)
        _make_read_only(*weights)
        return weights

    def nll(self, docs: Sequence[Tokens], *, threads: int = 1) -> float:
        """Return the total negative log-likelihood of all unmasked target tokens, in nats.

        Each document must have 2 to block_size + 1 tokens.
        """
        return float(self.losses(docs, threads=threads).astype(np.float64).sum())

    def losses(self, docs: Sequence[Tokens], *, threads: int = 1) -> NDArray[Any]:
        """Return the negative log-likelihood of each target token, in nats; 0 if it is masked."""
        size = -(-len(docs) // threads)
        shares = [docs[i : i + size] for i in range(0, len(docs), size)]
        losses = map_in_threads(lambda share, stop: self._evaluate(share, stop)[0], shares, threads)
        return np.concatenate(list(losses))

    def add_probabilities(
        self,
        docs: Sequence[Tokens],
        out: NDArray[np.float32],
        *,
        share: float = 1.0,
        should_stop: Event | None = None,
    ) -> None:
        """Add `share` times the softmax of the logits of each prediction to `out` (predictions, V).

        A document of n tokens (2 to block_size + 1) has n - 1 predictions. After should_stop is
        set, the remaining documents are skipped.
        """
        self._evaluate(docs, should_stop, out, share)

    def log_probabilities(self, tokens: Tokens, first: int = 0) -> Iterator[list[float]]:
        """Yield the next token's log-probabilities (V) after tokens[first] and each later token.

        Raises:
            PromptError: a logit is not finite.
        """
        _, buffers = self._evaluate([[*tokens, 0]])
        logits = buffers.logits[:, first : len(tokens)].T
        if not np.isfinite(logits).all():
            raise PromptError(NOT_FINITE_MESSAGE)
        scores = logits.astype(np.float64)
        scores -= scores.max(axis=-1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=-1, keepdims=True))
        for row in scores:  # converting all rows at once would take four times the memory
            yield row.tolist()

    def _evaluate(
        self,
        docs: Sequence[Tokens],
        should_stop: Event | None = None,
        probabilities: NDArray[np.float32] = NO_ROWS,
        share: float = 1.0,
    ) -> tuple[NDArray[Any], Buffers]:
        """Return the losses, and the last micro-batch's buffers; see also `add_probabilities`."""
        # Losses are measured on the tokens, even if the documents have soft targets.
        dataset = Dataset.from_documents(docs)._replace(soft_targets=NO_ROWS)
        n_losses = dataset.tokens.size - len(docs)
        n_columns = min(max(dataset.longest, EVAL_TOKENS), n_losses)
        buffers = allocate_buffers(self.config, self.dtype, n_columns, dataset.longest)
        settings = model_settings(self.config, self.dtype, dataset.longest)
        losses = np.empty(n_losses, self.dtype)
        n_tokens = max(1, CALL_WORK // count_params(self.config))
        done = 0
        while done < len(docs) and not (should_stop and should_stop.is_set()):
            done = evaluate(
                self._weights, buffers, dataset, losses, probabilities, share, settings, done,
                n_tokens,
            )  # fmt: skip
        return losses, buffers

    def decode(
        self, prompt: Tokens, rules: DecodeRules, rng: random.Random
    ) -> Generator[int, None, FinishReason]:
        """Yield the same tokens as `sampling.decode`, decoding a few milliseconds per kernel call.

        Random numbers for several tokens are drawn from a copy of rng. After each token, rng has
        advanced by one number.
        """
        decoder = Decoder(self, [prompt], rules)
        sequences, is_greedy = decoder.sequences, rules.sampling.temperature == 0
        end, n_known = int(sequences.goals[0]), len(prompt)
        is_copied = type(rng) is random.Random  # not a subclass, whose overrides a copy would lose
        n_at_once = 1 + WORK_5_MS // count_params(self.config) if is_copied else 1
        advances, ahead = is_copied and not is_greedy, rng
        if advances:
            ahead = random.Random(0)  # any seed; without one, Random would read system entropy
            ahead.setstate(rng.getstate())
        while True:
            goal = min(n_known + n_at_once, end)
            if not is_greedy:
                uniforms = sequences.uniforms[0, n_known - len(prompt) : goal - len(prompt)]
                uniforms[:] = [ahead.random() for _ in uniforms]
            sequences.goals[0], sequences.status[0] = goal, RUNNING
            while decoder.run():
                pass
            for token in sequences.tokens[0, n_known : sequences.n_tokens[0]].tolist():
                if advances:
                    rng.random()
                yield token
            decoder.check(0)
            if sequences.status[0] == STOPPED:
                if advances:
                    rng.random()
                return "stop"
            if goal == end:
                return "length"
            n_known = goal

    def decode_many(
        self,
        prompts: Sequence[Tokens],
        seeds: Sequence[int],
        rules: DecodeRules,
        *,
        threads: int = 1,
    ) -> Iterator[list[int]]:
        """Yield the new tokens of each prompt; they equal those of `decode` with `Random(seed)`.

        Raises:
            PromptError: a sequence failed. The tokens of earlier prompts have already been yielded.
        """

        def work(part: slice, should_stop: Event) -> Decoder:
            decoder = Decoder(self, prompts[part], rules, seeds=seeds[part])
            while not should_stop.is_set() and decoder.run():
                pass
            return decoder

        size = min(GROUP, self.max_sequences(rules), -(-len(prompts) // threads)) or 1
        slices = [slice(i, i + size) for i in range(0, len(prompts), size)]
        for decoder in map_in_threads(work, slices, threads):
            statuses = decoder.sequences.status.tolist()
            for i, tokens in enumerate(decoder.tokens()):
                if statuses[i] > FULL:
                    decoder.check(i)
                yield tokens

    def max_sequences(self, rules: DecodeRules) -> int:
        """Return the maximum number of sequences per batch, which bounds the memory use."""
        return max(1, MAX_BATCH_TOKENS // (self.config.block_size + (rules.max_tokens or 0)))

    def batch(self, jobs: Sequence[Job]) -> Batch:
        """Return a batch that decodes jobs together; all must have the same sampling rules."""
        return Batch(self, jobs, self._spare)


def _make_read_only(*arrays: NDArray[Any]) -> None:
    for array in arrays:
        array.flags.writeable = False
