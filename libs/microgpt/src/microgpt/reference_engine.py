"""The reference engine as an `EngineModule`: plain Python, without kernels or threads.

Training supports all settings, and masked or soft targets; `ReferenceEngine.backward` is the same
computation without dropout, masks or soft targets. NumPy is imported only where it is used.
"""

import math
from array import array
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import product
from random import Random
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING

from microgpt.config import DType, ModelConfig, TrainConfig, Use
from microgpt.data.token_dataset import TokenDataset, Tokens
from microgpt.distillation_loss import soft_cross_entropy
from microgpt.errors import PromptError
from microgpt.model import Gpt, Weights, cross_entropy
from microgpt.model_variants import Dropout, GptVariant, batch_dropout, gpt_type, init_variant
from microgpt.muon import MuonEngine
from microgpt.parameters import Numbers, by_name, count_params
from microgpt.reference import Batch, ReferenceEngine
from microgpt.sampling import (
    NOT_FINITE_MESSAGE,
    Continuation,
    DecodeRules,
    FinishReason,
    Job,
    TokenStream,
    decode,
)
from microgpt.value import Number, total

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Target = int | Sequence[float] | None  # a token, the probability of each token, or no target
Targets = Sequence[Sequence[Target]]  # the targets of each document in a batch

BYTES_PER_WEIGHT = 200  # a weight, its gradient and moments, and copies as Python floats
BYTES_PER_PRODUCT = 32  # both operands and both local gradients are stored
RUN_S = 0.02  # target duration of each call of `ReferenceBatch.run`


def prepare(dtypes: Iterable[DType], uses: Collection[Use]) -> bool:
    """Return False: there are no kernels to compile."""
    return False


def n_bytes(model: ModelConfig, longest: int) -> int:
    """Estimate the bytes of memory needed to train on documents of up to `longest` predictions."""
    return count_params(model) * (BYTES_PER_WEIGHT + longest * BYTES_PER_PRODUCT)


def shuffled(n: int, rng: Random, n_first: int) -> Sequence[int]:
    """Shuffle range(n) with `rng.shuffle` and return the first n_first numbers."""
    order = list(range(n))
    rng.shuffle(order)
    return order[:n_first]


class ReferenceTraining:
    """A model that the reference engine trains. Flat arrays are in `weight_shapes` order."""

    def __init__(
        self, model: ModelConfig, config: TrainConfig, docs: TokenDataset, rng: Random, threads: int
    ) -> None:
        """Start with random weights; the engine computes in float64 on one thread."""
        adam = (config.beta1, config.beta2, config.adam_eps, config.weight_decay)
        kind = MuonEngine if config.optimizer == "muon" else ReferenceEngine
        gpt = GptVariant if batch_dropout(config, 0) else gpt_type(model)
        self._engine = kind(model, init_variant(model, rng), *adam, gpt)
        self._config, self._docs = config, docs

    def resume(self, step: int, weights: Numbers, adam_m: Numbers, adam_v: Numbers) -> None:
        """Restore the step, weights and Adam moments of a checkpoint."""
        self.set_weights(weights.tolist())
        self._engine.n_steps = step
        self._engine.adam_m, self._engine.adam_v = adam_m.tolist(), adam_v.tolist()

    @property
    def n_steps(self) -> int:
        """The number of optimizer steps so far."""
        return self._engine.n_steps

    def set_weights(self, numbers: Sequence[float]) -> None:
        """Set the weights to the numbers of a flat sequence."""
        for param, number in zip(self._engine.params, numbers, strict=True):
            param.data = number

    def flat_weights(self) -> Numbers:
        """Return a flat copy of the weights."""
        return array("d", [param.data for param in self._engine.params])

    def numbers(self) -> tuple[Numbers, Numbers, Numbers]:
        """Return flat copies of the weights and of the Adam moments m and v."""
        adam_m, adam_v = array("d", self._engine.adam_m), array("d", self._engine.adam_v)
        return self.flat_weights(), adam_m, adam_v

    def grads(self) -> Numbers:
        """Return a flat copy of the gradients of the last `backward` call."""
        return array("d", [param.grad for param in self._engine.params])

    def run(self, until: int) -> list[float]:
        """Take one step, unless `until` steps have been taken; return the losses of new steps.

        If the last loss is NaN, that step had a non-finite loss or gradient and was not applied.
        """
        if self.n_steps >= until:
            return []
        loss = self.backward()
        if not math.isnan(loss):
            self._engine.update(self._config.lr_at(self.n_steps))
        return [loss]

    def backward(self) -> float:
        """Compute the next batch's gradients; return its loss, or NaN if a value is not finite."""
        first = self.n_steps * self._config.batch_size
        ids = [i % len(self._docs) for i in range(first, first + self._config.batch_size)]
        batch, targets = [self._docs[i] for i in ids], [self._docs.targets_of(i) for i in ids]
        drops = batch_dropout(self._config, self.n_steps)
        return compute_gradients(self._engine, batch, targets, drops)


make_training = ReferenceTraining


def compute_gradients(
    engine: ReferenceEngine, batch: Batch, targets: Targets = (), drops: Sequence[Dropout] = ()
) -> float:
    """Compute the gradients; return the mean loss over the targets (default: the next tokens).

    Return NaN if the loss or a gradient is not finite. `drops` contains the dropout of each
    document, and requires a `GptVariant`.
    """
    engine.zero_grad()
    size = engine.gpt.config.block_size
    targets = [wanted[:size] for wanted in targets or [doc[1:] for doc in batch]]
    n_targets, loss = sum(len(wanted) - wanted.count(None) for wanted in targets), 0.0
    for i, (doc, wanted) in enumerate(zip(batch, targets, strict=True)):
        if len(wanted) > wanted.count(None):
            gpt = engine.gpt
            if drops:
                assert isinstance(gpt, GptVariant)
                gpt = gpt.with_dropout(drops[i])
            share = (1 / n_targets) * target_loss(gpt, doc[: size + 1], wanted)
            share.backward()  # gradients accumulate, so each document's graph can be freed
            loss += share.data
    is_finite = all(map(math.isfinite, [loss, *(param.grad for param in engine.params)]))
    return loss if is_finite else math.nan


def target_loss(gpt: Gpt[Number], tokens: Tokens, targets: Sequence[Target]) -> Number:
    """Return the summed cross-entropy of hard or soft targets, in nats; see `document_loss`."""
    cache = gpt.new_cache()
    logits = [gpt.forward(token, cache) for token in tokens[:-1]]
    return total(
        cross_entropy(x, target) if isinstance(target, int) else soft_cross_entropy(x, target)
        for x, target in zip(logits, targets, strict=True)
        if target is not None
    )


class ReferenceModel:
    """A trained model. Threads can share it.

    Documents have 2 to block_size + 1 tokens. N = predictions in all documents, V = vocab_size.
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
        """Yield the log-probabilities (V) of the token after tokens[i], for i from `first` on."""
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
        self, prompt: Tokens, rules: DecodeRules, rng: Random
    ) -> Generator[int, None, FinishReason]:
        """Yield the tokens of `sampling.decode`; other engines can draw more numbers from rng."""
        return decode(self._gpt, prompt, rules, rng)

    def decode_many(
        self,
        prompts: Sequence[Tokens],
        seeds: Sequence[int],
        rules: DecodeRules,
        *,
        threads: int = 1,
    ) -> Iterator[list[int]]:
        """Yield the new tokens of each prompt, the same as `decode` with `Random(seed)`."""
        for prompt, seed in zip(prompts, seeds, strict=True):
            yield list(self.decode(prompt, rules, Random(seed)))

    def max_sequences(self, rules: DecodeRules) -> int:
        """Return the maximum number of sequences per batch: 1, as larger batches are no faster."""
        return 1

    def batch(self, jobs: Sequence[Job]) -> "ReferenceBatch":
        """Return a batch of jobs, which are decoded one after another."""
        return ReferenceBatch(self, jobs)


make_model = ReferenceModel


class ReferenceBatch:
    """Jobs with the same sampling rules, decoded one after another. Not thread-safe."""

    def __init__(self, model: ReferenceModel, jobs: Sequence[Job]) -> None:
        self.open = {  # the unfinished jobs, by index
            number: [
                (TokenStream(model.decode(prompt, job.rules, Random(seed))), list[int]())
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
        """Return an unfinished job's continuations, without tokens that earlier calls returned."""
        found = []
        for stream, tokens in self.open[number]:
            found.append(Continuation(tokens[:], stream.finish_reason))
            tokens.clear()
        return found

    def drop(self, number: int) -> None:
        """Cancel an unfinished job."""
        del self.open[number]
