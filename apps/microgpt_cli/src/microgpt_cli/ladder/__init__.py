"""What a loss is worth: models from a uniform guess to a GPT, on the same held-out documents."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np

from microgpt import (
    DataError,
    EngineName,
    EvaluationSet,
    InferenceGpt,
    Plottable,
    Split,
    Tell,
    TextKind,
    TokenDataset,
    TrainingJob,
    bits,
    default_engine,
    plan_training,
    train_job,
)
from microgpt_cli.counting import Counted, Uniform, counted_documents, held_out
from microgpt_cli.ladder.fast_elman import train_elman

# Operations, as `train --budget` counts them, of the first GPT; the second has MORE times as many.
BUDGET = {"compiled": 1e11, "reference": 1e8}
MORE = 10
ORDERS = range(2, 13)  # n-grams of more tokens are tried as long as the validation loss falls
N_BEGINNINGS, N_LIKELY = 3, 3  # predictions that are shown, and tokens of each


class Model(Protocol):
    """A model of the ladder."""

    def nll(self, docs: TokenDataset) -> float:
        """Return the summed loss of all predictions that count, in nats."""

    def next_token(self, tokens: Sequence[int]) -> Any:
        """Return the probabilities of the token after some tokens: (V)."""


class Likely(NamedTuple):
    """A likely next token, and its probability."""

    text: str
    probability: float


@dataclass(frozen=True)
class Rung:
    """A model and its loss on the test documents."""

    name: str
    loss: float  # nats per character
    operations: float  # floating-point operations of the matrix products of its training
    seconds: float  # of its training
    predictions: tuple[tuple[Likely, ...], ...]  # the most likely tokens after each beginning

    @property
    def bits(self) -> float:
        """The loss in bits per character."""
        return bits(self.loss)


@dataclass(frozen=True)
class Ladder(Plottable):
    """Models on the same split, from a uniform guess to a GPT; `plot()` draws them."""

    rungs: tuple[Rung, ...]
    beginnings: tuple[str, ...]  # of test documents, after which each model predicts a token
    n_docs: int  # number of test documents
    n_characters: int


@dataclass
class _Climb:
    """Trains models, measures them, and collects the rungs."""

    tokenizer: Any
    test: EvaluationSet
    tell: Tell
    rungs: list[Rung] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.beginnings = [*_beginnings(self.test)]

    def add(self, name: str, train: Callable[[], Model], operations: float = 0.0) -> None:
        """Train a model and add its rung."""
        if operations:
            self.tell(f"training: {name}, {operations:.2g} operations")
        started = perf_counter()
        model = train()
        seconds = perf_counter() - started
        found = self.test.evaluate(model.nll)
        assert found
        rows = [np.asarray(model.next_token(tokens)) for tokens in self.beginnings]
        likely = tuple(
            tuple(
                Likely(self.tokenizer.label(int(i)), float(row[i]))
                for i in np.argsort(-row, kind="stable")[:N_LIKELY]
            )
            for row in rows
        )
        self.rungs.append(Rung(name, found.loss, operations, seconds, likely))


class _Trained:
    """A GPT of the ladder."""

    def __init__(self, job: TrainingJob) -> None:
        self._gpt = InferenceGpt(train_job(job), engine=job.plan.engine)
        self.nll = self._gpt.engine_model.nll

    def next_token(self, tokens: Sequence[int]) -> Any:
        """Return the probabilities of the token after some tokens: (V)."""
        (row,) = self._gpt.log_probabilities(tokens, len(tokens) - 1)
        return np.exp(row)


def ladder(
    sets: Split,
    *,
    text: TextKind = "lines",
    budget: float | None = None,
    seed: int = 42,
    engine: EngineName | None = None,
    tell: Tell = lambda line: None,
) -> Ladder:
    """Return models of the training documents with their losses on the test documents.

    Everything is chosen on the validation documents: the n of the best n-gram, and the weights of
    the trained models. All models read the same characters, in the same windows. The Elman network
    takes as many operations as the first GPT.

    Args:
        sets: documents with a validation set and a test set.
        text: "stream" for running text.
        budget: operations of the first GPT; see `train --budget`. The second has ten times as many.
        tell: called before each training.

    Raises:
        DataError: no documents are held out.

    Examples:
        >>> from microgpt import load_text, split
        >>> found = ladder(split(load_text("data/names.txt"), validation=0.1, test=0.1))
        >>> [(rung.name, rung.loss) for rung in found.rungs][0]
        ('uniform guess', 3.295836866004329)
    """
    if not (sets.validation and sets.test):
        raise DataError(
            "a ladder compares models on held-out documents, and there are too few to hold some "
            "out; add documents"
        )
    engine = engine or default_engine()
    budget = budget or BUDGET[engine]
    given = {"single": True, "tokenizer": "char", "text": text, "seed": seed, "engine": engine}
    jobs = [plan_training(sets, {**given, "budget": n * budget}) for n in (1, MORE)]
    costs = [_operations(job) for job in jobs]
    tokenizer, size = jobs[0].plan.tokenizer, jobs[0].plan.model.block_size
    V = tokenizer.vocab_size
    validation, test = (
        held_out(docs, tokenizer, text, size) for docs in (sets.validation, sets.test)
    )
    docs = counted_documents(sets.train, tokenizer, text)
    climb = _Climb(tokenizer, test, tell)
    climb.add("uniform guess", lambda: Uniform(V))
    climb.add("letter frequencies", lambda: Counted(docs, V, 1))
    climb.add("pairs of letters", lambda: Counted(docs, V, 2))
    best = _best_order(docs, V, validation)
    climb.add(f"best n-grams (n = {best})", lambda: Counted(docs, V, best))
    chunks = jobs[0].chunks
    climb.add("Elman network", lambda: train_elman(chunks, validation, costs[0], seed), costs[0])
    climb.add("GPT", lambda: _Trained(jobs[0]), costs[0])
    if costs[1] > 2 * costs[0]:  # or else the text is too small for more
        climb.add(
            f"GPT, {costs[1] / costs[0]:.0f} × operations", lambda: _Trained(jobs[1]), costs[1]
        )
    beginnings = tuple(tokenizer.decode(tokens) for tokens in climb.beginnings)
    return Ladder(tuple(climb.rungs), beginnings, test.n_docs, test.n_characters)


def _best_order(docs: TokenDataset, vocab_size: int, validation: EvaluationSet) -> int:
    """Return the n of the n-gram model with the lowest validation loss."""
    best, least = 2, inf
    for order in ORDERS:
        found = validation.evaluate(Counted(docs, vocab_size, order).nll)
        assert found
        if found.loss >= least:
            break
        best, least = order, found.loss
    return best


def _operations(job: TrainingJob) -> float:
    """Return the operations of all matrix products (Kaplan et al. 2020, table 1)."""
    model, config, chunks = job.plan.model, job.plan.config, job.chunks
    C, L, length = model.n_embd, model.n_layer, chunks.n_tokens / max(1, len(chunks))
    weights = L * (4 + 2 * model.n_ff_exp) * C**2 + model.vocab_size * C
    attention = L * C * (length + 1)  # each token reads half of the others on average
    return 6 * (weights + attention) * config.steps * config.batch_size * length


def _beginnings(test: EvaluationSet) -> Iterator[Sequence[int]]:
    """Yield the tokens up to the middle of the predictions in the first test documents."""
    n = 0
    for portion in test.portions:
        for i, doc in enumerate(portion):
            mask = portion.mask_of(i) or b"\1" * len(doc)
            places = [place for place in range(1, len(doc)) if mask[place]]
            if places and n < N_BEGINNINGS:
                n += 1
                yield doc[: places[len(places) // 2]]
