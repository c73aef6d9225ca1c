"""Compare models from a uniform guess to a GPT by their losses on the same held-out documents."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from microgpt import (
    DataError,
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
from microgpt_cli.baselines import Predict, counted, loss_of, to_score
from microgpt_cli.charts import BLUE, GREY, WIDTH
from microgpt_cli.elman import train_elman

if TYPE_CHECKING:
    from altair.typing import ChartType

# Operations to train the first GPT, counted as in `train --budget`; the second takes 10 times that.
BUDGET = {"compiled": 1e11, "reference": 1e8}
ORDERS = range(2, 13)  # values of n for n-grams, tried until the validation loss rises
N_BEGINNINGS, MAX_BEGINNING = 3, 10  # number of document beginnings, and characters shown of each


@dataclass(frozen=True)
class Rung:
    """A model and its loss on the test documents."""

    name: str
    loss: float  # nats per character
    operations: float  # floating-point operations of the matrix products in training
    seconds: float  # training time
    # The most likely token after each of `Ladder.beginnings`, and its probability.
    predictions: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Ladder(Plottable):
    """Test losses of models on one split, from a uniform guess to a GPT; `plot()` draws them."""

    rungs: tuple[Rung, ...]
    beginnings: tuple[str, ...]  # beginnings of test documents; models predict the next token
    n_docs: int  # number of test documents
    n_characters: int


def ladder(
    sets: Split,
    *,
    text: TextKind = "lines",
    budget: float | None = None,
    seed: int = 42,
    tell: Tell = lambda line: None,
) -> Ladder:
    """Train models on the training documents, and measure them on the test documents.

    The n of the n-grams and the checkpoints of the GPTs are chosen by their validation losses.
    All models predict the same characters in the same windows. The Elman network takes as many
    operations as the first GPT, whose budget is counted as in `train --budget`. `tell` receives
    a line before each training run. Raise DataError if there is no validation set or no test set.
    """
    if not (sets.validation and sets.test):
        raise DataError("too few documents for validation and testing; add documents")
    engine = default_engine()
    given = {"single": True, "tokenizer": "char", "text": text, "seed": seed, "engine": engine}
    budgets = (n * (budget or BUDGET[engine]) for n in (1, 10))
    gpt, more = (plan_training(sets, {**given, "budget": each}) for each in budgets)
    cost, most = operations_of(gpt), operations_of(more)
    tokenizer, size = gpt.plan.tokenizer, gpt.plan.model.block_size
    model_of = counted(sets.train, tokenizer, text)
    validation, test = (
        to_score(docs, tokenizer, text, size) for docs in (sets.validation, sets.test)
    )
    beginnings = [*_beginnings(test)]

    def rung(name: str, make: Callable[[], Predict], operations: float = 0.0) -> Rung:
        if operations:
            tell(f"training: {name}, {operations:.2g} operations")
        started = perf_counter()
        predict = make()
        seconds = perf_counter() - started
        rows = [predict(TokenDataset([[*tokens, 0]]))[-1] for tokens in beginnings]
        likely = tuple((tokenizer.label(int(row.argmax())), float(row.max())) for row in rows)
        return Rung(name, loss_of(predict, test), operations, seconds, likely)

    n = _best_order(model_of, validation)
    orders = {"uniform guess": 0, "letter frequencies": 1, "pairs of letters": 2}
    orders[f"best n-grams (n = {n})"] = n
    rungs = [rung(name, partial(model_of, order)) for name, order in orders.items()]
    elman = partial(train_elman, gpt.chunks, cost, seed)
    rungs.append(rung("Elman network", lambda: elman().probabilities, cost))
    rungs.append(rung("GPT", lambda: _trained(gpt), cost))
    if most > 2 * cost:  # otherwise, the text is too small to benefit from more operations
        rungs.append(rung(f"GPT, {most / cost:.0f} × operations", lambda: _trained(more), most))
    texts = tuple(tokenizer.decode(tokens) for tokens in beginnings)
    return Ladder(tuple(rungs), texts, test.n_docs, test.n_characters)


def predictions_of(gpt: InferenceGpt) -> Predict:
    """Return a function from documents to probabilities of shape (predictions, vocab_size)."""

    def predict(docs: TokenDataset) -> np.ndarray:
        rows = np.zeros((len(docs.tokens) - len(docs), gpt.config.vocab_size), np.float32)
        gpt.engine_model.add_probabilities(docs, rows)
        return rows

    return predict


def _trained(job: TrainingJob) -> Predict:
    return predictions_of(InferenceGpt(train_job(job), engine=job.plan.engine))


def _best_order(model_of: Callable[[int], Predict], validation: EvaluationSet) -> int:
    """Return the n of the n-gram model with the lowest validation loss."""
    best, lowest = 0, inf
    for n in ORDERS:
        loss = loss_of(model_of(n), validation)
        if loss >= lowest:
            break
        best, lowest = n, loss
    return best


def operations_of(job: TrainingJob) -> float:
    """Return the number of training operations in matrix products (Kaplan et al. 2020, table 1)."""
    model, config, chunks = job.plan.model, job.plan.config, job.chunks
    C, L, length = model.n_embd, model.n_layer, chunks.n_tokens / max(1, len(chunks))
    weights = L * (4 + 2 * model.n_ff_exp) * C**2 + model.vocab_size * C
    attention = L * C * (length + 1)  # on average, a token attends to half of the tokens
    return 6 * (weights + attention) * config.steps * config.batch_size * length


def _beginnings(test: EvaluationSet) -> Iterator[Sequence[int]]:
    """Yield the first half of each of the first N_BEGINNINGS test documents, as tokens."""
    portion = test.portions[0]
    for i, doc in enumerate(portion[: min(N_BEGINNINGS, len(portion))]):
        places = [j for j, target in enumerate(portion.targets_of(i), 1) if target is not None]
        yield doc[: places[len(places) // 2]]


def shown(text: str) -> str:
    """Return a text's last characters, with visible white space; "end" for a special token."""
    if text.startswith("<|"):
        return "end"
    return text[-MAX_BEGINNING:].replace("\n", "⏎").replace(" ", "␣")


def draw_ladder(ladder: Ladder) -> "ChartType":
    """Return a bar chart of the losses, with each model's predictions; networks have blue bars."""
    import altair as alt

    rows = []
    for rung in ladder.rungs:
        likely = zip(ladder.beginnings, rung.predictions, strict=True)
        labels = [f"{shown(text)} → {shown(token)} {p:.0%}" for text, (token, p) in likely]
        figures = f"{rung.loss:.3f} ({bits(rung.loss):.2f} bits)"
        row = {"model": rung.name, "loss": rung.loss, "color": BLUE if rung.operations else GREY}
        rows.append({**row, "label": " · ".join([figures, *labels])})
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        alt.X("loss:Q", title="held-out loss, nats per character"),
        alt.Y("model:N", sort=None, title=None),
    )
    bars = base.mark_bar().encode(alt.Color("color:N", scale=None))
    texts = base.mark_text(align="left", dx=5).encode(alt.Text("label:N"))
    return alt.layer(bars, texts).properties(width=WIDTH)
