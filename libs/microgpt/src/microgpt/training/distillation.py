"""Knowledge distillation: a student learns from the predictions of teachers.

The target of each prediction is the mean of the teachers' probabilities (Hinton, Vinyals & Dean
2015) instead of the next token; distillation_loss.py has the loss. The teachers can also generate
documents for the student. All targets and documents are computed before training.

An n-gram model predicts a small text about as well as a neural network, but makes different errors.
It is therefore an additional teacher for the documents that the teachers generate, but not for the
text from which its counts come. docs/measurements/choice.md reports the improvement.

Shapes: N = predictions in a dataset, V = vocab_size.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from math import ceil
from threading import Event
from typing import TYPE_CHECKING, Any

from microgpt.config import Sampling, Use
from microgpt.data.context import ChunkedDataset
from microgpt.data.split import DataFacts
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import Document, Tokenizer
from microgpt.errors import ConfigError, PromptError
from microgpt.resource_limits import check_memory, map_in_threads
from microgpt.sampling import NOT_FINITE_MESSAGE, DecodeRules
from microgpt.training.engines import (
    EngineModel,
    default_engine,
    engine_module,
    prepare_engine,
    reading_order,
)
from microgpt.training_state import TrainedModel, TrainingPlan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from microgpt.data.ngram_model import NgramModel

DOCS_AT_ONCE = 1024  # number of documents whose soft targets are computed at once
NGRAM_WEIGHTS = tuple(i / 10 for i in range(10))  # candidate weights of the n-gram teacher
MIN_GAIN = 0.005  # minimum relative decrease of the loss; a smaller one is measurement error
MAX_TOKENS = 100_000  # maximum training tokens for an n-gram model; with more, it hardly helps
MAX_NUMBERS = 2**24  # maximum number of probabilities computed at once; bounds the memory


@dataclass
class Teachers:
    """The teachers of a student, and the dataset that they prepare."""

    models: Sequence[TrainedModel]
    n_samples: int = 0  # total number of documents that the teachers generate
    names: Sequence[str] = ()  # names of the models in error messages
    # `show` wraps an iterable of n results to show the progress: show(results, n, "portions").
    show: Callable[[Iterable[Any], int, str], Iterable[Any]] = lambda work, n, what: work
    # An additional teacher for the generated documents, and its weight in the mean prediction.
    ngrams: "NgramModel | None" = None
    ngram_weight: float = 0.0
    _key: object = field(default=None, init=False, repr=False)  # identifies the dataset's inputs
    _dataset: TokenDataset = field(default_factory=TokenDataset, init=False, repr=False)

    def __post_init__(self) -> None:
        self.names = self.names or [f"teacher {i + 1}" for i in range(len(self.models))]

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that all teachers have in common."""
        return self.models[0].tokenizer

    @property
    def block_size(self) -> int:
        """The context length of the teacher with the shortest context."""
        return min(teacher.model.block_size for teacher in self.models)

    @property
    def trained_on(self) -> tuple[DataFacts | None, ...]:
        """The data on which the teachers were trained; None for unknown data."""
        return tuple(dict.fromkeys(each for model in self.models for each in model.trained_on))

    def prepare(self) -> float:
        """Load the kernels for the teachers; return the compilation time in seconds, or 0."""
        uses: list[Use] = ["evaluation", "generation"] if self.n_samples else ["evaluation"]
        return prepare_engine(None, *sorted({each.dtype for each in self.models}), uses=uses)

    def check(self, docs: Sequence[Document], tokenizer: Tokenizer, block_size: int) -> None:
        """Raise ConfigError unless the teachers suit a student's data, tokenizer and context."""
        for name, teacher in zip(self.names, self.models, strict=True):
            n, size = teacher.tokenizer.vocab_size, teacher.model.block_size
            if teacher.tokenizer.names != tokenizer.names:
                raise ConfigError(
                    f"the vocabulary of {name} ({n} tokens) differs from that of the student "
                    f"({tokenizer.vocab_size}); use teachers with the same tokenizer"
                )
            if size < block_size:
                raise ConfigError(
                    f"the context of {name} ({size} tokens) is shorter than that of the student "
                    f"({block_size}); use a block size of at most {size}"
                )
        is_chat = not all(isinstance(doc, str) for doc in docs)
        if is_chat != tokenizer.is_chat:
            kinds, data = ("text", "chat"), ("texts", "conversations")
            raise ConfigError(
                f"the teachers are {kinds[tokenizer.is_chat]} models, but the data are "
                f"{data[is_chat]}; use {kinds[is_chat]} models as teachers"
            )

    def dataset(
        self, chunks: ChunkedDataset, plan: TrainingPlan, rng: random.Random, threads: int
    ) -> TokenDataset:
        """Return the chunks and samples in training order, with soft targets; cache the result."""
        config, n = plan.config, len(chunks) + self.n_samples
        n_read = min(n, config.steps * config.batch_size)
        key = (chunks, config.seed, config.shuffle)
        is_made = self._key == key and n_read <= len(self._dataset)
        if not is_made:
            n_targets = ceil(n_read * chunks.n_tokens / max(1, len(chunks)))
            n_bytes = 4 * n_targets * plan.model.vocab_size  # in float32
            check_memory(n_bytes, "learning from teachers", "use a smaller vocabulary or text")
        order = reading_order(n, config, rng, plan.engine)
        if not is_made:
            self._dataset = TokenDataset()  # frees the memory of the old dataset
            self._dataset = self._prepared(chunks, order, config.seed, threads)
            self._key = key
        return self._dataset[:n_read]

    @cached_property
    def _engine_models(self) -> list[EngineModel]:
        make_model = engine_module(default_engine()).make_model
        return [make_model(each.model, each.weights, each.dtype) for each in self.models]

    def _prepared(
        self, chunks: ChunkedDataset, order: Sequence[int], seed: int, threads: int
    ) -> TokenDataset:
        """Return chunks and samples with soft targets; sample ids come after chunk ids."""
        n_chunks, dataset = len(chunks), TokenDataset()
        encoded = chunks.encode([i for i in order if i < n_chunks])
        texts = ((encoded[i], encoded.mask_of(i)) for i in range(len(encoded)))
        samples = self._samples([i for i in order if i >= n_chunks], chunks, seed, threads)
        for i in order:
            dataset.append(*(next(texts) if i < n_chunks else (samples[i], None)))
        dataset.soft_targets = self._predictions(dataset, [i >= n_chunks for i in order], threads)
        return dataset

    def _samples(
        self, ids: Sequence[int], chunks: ChunkedDataset, seed: int, threads: int
    ) -> dict[int, list[int]]:
        """Return the tokens of samples by id; a sample depends only on its id and the seed."""
        if not ids:
            return {}
        bos, special = chunks.tokenizer.bos_id, chunks.tokenizer.special_ids
        size, sampling = chunks.block_size, Sampling(temperature=1.0)
        stop, forbidden = ((), special) if chunks.text == "stream" else (special, ())
        rules = DecodeRules(stop, forbidden, min_tokens=1, max_tokens=size, sampling=sampling)
        first = random.Random(seed).getrandbits(62)  # each seed gives different samples
        k = len(self.models)
        shares = [[i for i in ids if i % k == teacher] for teacher in range(k)]
        seeds = [[first + i for i in share] for share in shares]
        sequences = chain.from_iterable(
            model.decode_many([[bos]] * len(each), each, rules, threads=threads)
            for model, each in zip(self._engine_models, seeds, strict=True)
        )
        made = self.show(sequences, len(ids), "samples of the teachers")
        return {
            i: [bos, *tokens, *([bos] if len(tokens) < size else [])]
            for i, tokens in zip(chain.from_iterable(shares), made, strict=True)
        }

    def add_mean(
        self, docs: TokenDataset, out: "NDArray[np.float32]", should_stop: Event | None = None
    ) -> None:
        """Add the mean probabilities of the teachers to `out` (N, V)."""
        for model in self._engine_models:
            model.add_probabilities(docs, out, share=1 / len(self.models), should_stop=should_stop)

    def _predictions(
        self, dataset: TokenDataset, is_sample: Sequence[bool], threads: int
    ) -> "NDArray[np.float32]":
        """Return the soft targets of all predictions: (N, V), float32."""
        import numpy as np

        n, starts = len(dataset.tokens) - len(dataset), dataset.starts
        targets = np.zeros((n, self.tokenizer.vocab_size), np.float32)

        def predict(first: int, should_stop: Event) -> None:
            end = min(first + DOCS_AT_ONCE, len(dataset))
            part, rows = dataset[first:end], targets[starts[first] - first : starts[end] - end]
            self.add_mean(part, rows, should_stop)
            if self.ngrams:
                of_docs = self.ngram_weight * np.array(is_sample[first:end])
                shares = np.repeat(of_docs, np.diff(part.starts) - 1)
                rows *= (1 - shares[:, None]).astype(np.float32)
                self.ngrams.add_probabilities(part, rows, shares)
            if not np.isfinite(rows).all():
                raise PromptError(NOT_FINITE_MESSAGE)

        if firsts := range(0, len(dataset), DOCS_AT_ONCE):
            work = map_in_threads(predict, firsts, threads)
            deque(self.show(work, len(firsts), "portions predicted by the teachers"), maxlen=0)
        return targets


def add_ngrams(teachers: Teachers, train: ChunkedDataset, held_out: ChunkedDataset) -> None:
    """Add an n-gram model of the training set to the teachers if it lowers the held-out loss."""
    if not (teachers.n_samples and len(held_out)) or train.n_tokens > MAX_TOKENS:
        return
    from microgpt.data.ngram_model import NgramModel

    ngrams = NgramModel(train.encode(range(len(train))), teachers.tokenizer.vocab_size)
    weight = best_weight(teachers, ngrams, held_out.encode(range(len(held_out))))
    if weight:
        teachers.ngrams, teachers.ngram_weight = ngrams, weight


def best_weight(teachers: Teachers, ngrams: "NgramModel", docs: TokenDataset) -> float:
    """Return the n-gram weight with the lowest loss, or 0 if the gain is less than MIN_GAIN."""
    import numpy as np

    losses = np.zeros(len(NGRAM_WEIGHTS))
    n_docs = max(1, MAX_NUMBERS // max(1, docs.longest * ngrams.vocab_size))
    for first in range(0, len(docs), n_docs):
        part = docs[first : min(first + n_docs, len(docs))]
        targets = np.array([token for doc in part for token in doc[1:]])
        learned = np.zeros((len(targets), ngrams.vocab_size), np.float32)
        teachers.add_mean(part, learned)
        chosen, counted = (np.arange(len(targets)), targets), ngrams.probabilities(part)
        ours, theirs = learned[chosen], counted[chosen]
        masks = (part.mask_of(i) or b"\1" * len(doc) for i, doc in enumerate(part))
        counts = np.array([each for mask in masks for each in mask[1:]])
        for i, weight in enumerate(NGRAM_WEIGHTS):
            losses[i] -= counts @ np.log((1 - weight) * ours + weight * theirs)
    best = int(losses.argmin())
    return NGRAM_WEIGHTS[best] if losses[best] < (1 - MIN_GAIN) * losses[0] else 0.0
