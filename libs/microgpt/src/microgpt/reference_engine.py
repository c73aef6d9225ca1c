"""The reference engine as an `EngineModule`: plain Python, without kernels and threads.

It imports NumPy only where a caller wants arrays.
"""

import math
import random
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import product
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING

from microgpt.config import DType, ModelConfig, TrainConfig, Use
from microgpt.data.token_dataset import TokenDataset, Tokens
from microgpt.errors import PromptError
from microgpt.flat_weights import Numbers, by_name, count_params
from microgpt.model import Weights, cross_entropy
from microgpt.model_variants import gpt_type, init_variant
from microgpt.sampling import (
    NOT_FINITE_MESSAGE,
    Continuation,
    DecodeRules,
    FinishReason,
    Job,
    TokenStream,
    decode,
)
from microgpt.training.reference_training import ReferenceTraining

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BYTES_PER_WEIGHT = 200  # with its gradient, its moments, and copies as Python floats
BYTES_PER_PRODUCT = 32  # both operands and gradients are stored
RUN_S = 0.02  # target duration of a call of `ReferenceBatch.run`


def prepare(dtypes: Iterable[DType], uses: Collection[Use]) -> bool:
    """Return False: there are no kernels to compile."""
    return False


def n_bytes(model: ModelConfig, longest: int) -> int:
    """Return about how many bytes documents of up to `longest` predictions need."""
    return count_params(model) * (BYTES_PER_WEIGHT + longest * BYTES_PER_PRODUCT)


def make_engine(
    model: ModelConfig, config: TrainConfig, docs: TokenDataset, rng: random.Random, threads: int
) -> ReferenceTraining:
    """Return a training with random weights; it computes in float64 on one thread."""
    return ReferenceTraining(model, config, init_variant(model, rng), docs)


def shuffled(n: int, rng: random.Random, n_first: int) -> Sequence[int]:
    """Shuffle range(n) by `rng.shuffle` and return the first n_first numbers."""
    order = list(range(n))
    rng.shuffle(order)
    return order[:n_first]


class ReferenceModel:
    """A trained model. Threads can share it.

    Documents have 2 to block_size + 1 tokens. V = vocab_size.
    """

    def __init__(
        self, config: ModelConfig, weights: Weights[float] | Numbers, dtype: DType
    ) -> None:
        named = weights if isinstance(weights, Mapping) else by_name(config, weights.tolist())
        self._gpt = gpt_type(config)(config, named)

    def nll(self, docs: Sequence[Tokens], *, threads: int = 1) -> float:
        """Return the total negative log-likelihood of all unmasked target tokens, in nats."""
        return sum(self._losses(TokenDataset.from_documents(docs)))

    def losses(self, docs: Sequence[Tokens], *, threads: int = 1) -> "NDArray[np.float64]":
        """Return the negative log-likelihood of each target token, in nats; 0 if it is masked."""
        import numpy as np

        return np.fromiter(self._losses(TokenDataset.from_documents(docs)), float)

    def _losses(self, docs: TokenDataset) -> Iterator[float]:
        for i, tokens in enumerate(docs):
            cache = self._gpt.new_cache()
            for token, target in zip(tokens[:-1], docs.targets_of(i), strict=True):
                assert not isinstance(target, list)  # soft targets are only for training
                logits = self._gpt.forward(token, cache)
                yield 0.0 if target is None else cross_entropy(logits, target)

    def add_probabilities(
        self,
        docs: Sequence[Tokens],
        out: "NDArray[np.float32]",
        *,
        share: float = 1.0,
        should_stop: Event | None = None,
    ) -> None:
        """Add the probabilities of all tokens at each prediction, times share, to `out` (N, V)."""
        rows = iter(out)
        for tokens in docs:
            if should_stop and should_stop.is_set():
                return
            for log_probabilities in self.log_probabilities(tokens[:-1]):
                next(rows)[:] += [share * math.exp(x) for x in log_probabilities]

    def log_probabilities(self, tokens: Tokens, first: int = 0) -> Iterator[list[float]]:
        """Yield the log-probabilities (V) after each of the tokens, from index `first` on."""
        cache = self._gpt.new_cache()
        for i, token in enumerate(tokens):
            logits = self._gpt.forward(token, cache)
            if i >= first:
                if not all(map(math.isfinite, logits)):
                    raise PromptError(NOT_FINITE_MESSAGE)
                largest = max(logits)
                norm = largest + math.log(sum(math.exp(logit - largest) for logit in logits))
                yield [logit - norm for logit in logits]

    def decode(
        self, prompt: Tokens, rules: DecodeRules, rng: random.Random
    ) -> Generator[int, None, FinishReason]:
        """Yield the tokens of `sampling.decode`; other engines may draw from rng in advance."""
        return decode(self._gpt, prompt, rules, rng)

    def decode_many(
        self,
        prompts: Sequence[Tokens],
        seeds: Sequence[int],
        rules: DecodeRules,
        *,
        threads: int = 1,
    ) -> Iterator[list[int]]:
        """Yield the new tokens of each prompt, identical to `decode` with `Random(seed)`."""
        for prompt, seed in zip(prompts, seeds, strict=True):
            yield list(self.decode(prompt, rules, random.Random(seed)))

    def max_sequences(self, rules: DecodeRules) -> int:
        """Return the maximum number of sequences per batch: 1, as a batch is no faster here."""
        return 1

    def batch(self, jobs: Sequence[Job]) -> "ReferenceBatch":
        """Return jobs to decode together. Jobs with fewer sequences may start first."""
        return ReferenceBatch(self, jobs)


make_model = ReferenceModel


class ReferenceBatch:
    """Jobs with the same sampling rules, decoded one after another. Not thread-safe."""

    def __init__(self, model: ReferenceModel, jobs: Sequence[Job]) -> None:
        self.open = {  # the unfinished jobs by their indices
            number: [
                (TokenStream(model.decode(prompt, job.rules, random.Random(seed))), list[int]())
                for prompt, seed in product(job.prompts, job.seeds)
            ]
            for number, job in enumerate(jobs)
        }

    def run(self) -> list[tuple[int, list[Continuation] | PromptError]]:
        """Decode for about 20 ms; return the index and result of each job that ended."""
        pause_at = perf_counter() + RUN_S
        ended: list[tuple[int, list[Continuation] | PromptError]] = []
        for number, sequences in list(self.open.items()):
            try:
                for stream, tokens in sequences:
                    for token in stream:
                        tokens.append(token)
                        if perf_counter() >= pause_at:
                            return ended
                ended.append((number, self.take(number)))
            except PromptError as error:
                ended.append((number, error))
            self.drop(number)
        return ended

    def take(self, number: int) -> list[Continuation]:
        """Return the output that an unfinished job has generated since the last call."""
        found = []
        for stream, tokens in self.open[number]:
            found.append(Continuation(tokens[:], stream.finish_reason))
            tokens.clear()
        return found

    def drop(self, number: int) -> None:
        """Cancel an unfinished job."""
        del self.open[number]
