"""Calibration: compare predicted probabilities with the fraction of correct predictions."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microgpt import Answer, ChatPrompt, Document, InferenceGpt, PromptError, TextKind
from microgpt_cli.baselines import targets_of, to_score
from microgpt_cli.charts import COLORS, GREY
from microgpt_cli.ladder import predictions_of

if TYPE_CHECKING:
    from altair.typing import ChartType

N_BINS = 10
MAX_PREDICTIONS = {"compiled": 2**17, "reference": 2**11}  # maximum number used, by engine
MAX_REPLIES = 1000  # if there are more replies, an evenly spaced sample of them is used
SIZE = 320  # width and height of the chart in pixels


@dataclass(frozen=True)
class Bin:
    """Statistics of the predictions whose probabilities lie in one interval of width 1 / N_BINS."""

    low: float  # lower limit of the interval
    n: int
    probability: float  # mean of the predicted probabilities
    right: float  # fraction of correct predictions


@dataclass(frozen=True)
class Calibration:
    """Bins of predictions, and the expected calibration error (Guo et al. 2017).

    A prediction is the most likely token at a position, or a whole reply. The error is the absolute
    difference between a bin's mean probability and its accuracy, averaged over all predictions.
    """

    bins: tuple[Bin, ...]  # the bins that are not empty
    n: int
    error: float

    @classmethod
    def from_pairs(cls, pairs: ArrayLike) -> "Calibration":
        """Return the calibration of predictions, given as pairs (probability, is correct)."""
        found = np.asarray(pairs, np.float64).reshape(-1, 2)
        places = np.minimum((found[:, 0] * N_BINS).astype(int), N_BINS - 1)
        bins = tuple(
            Bin(i / N_BINS, len(some), *some.mean(0).tolist())
            for i in range(N_BINS)
            if len(some := found[places == i])
        )
        gaps = sum(each.n * abs(each.probability - each.right) for each in bins)
        return cls(bins, len(found), gaps / max(1, len(found)))

    def lines(self, what: str) -> Iterator[str]:
        """Yield a report's lines; `what` names the predictions, such as "most likely tokens"."""
        yield f"calibration of {self.n:,} {what}: expected error {self.error:.1%}"
        yield f"  {'probability':<12} {'n':>8} {'mean':>7} {'right':>7}"
        for each in self.bins:
            between = f"{each.low:.0%} to {each.low + 1 / N_BINS:.0%}"
            yield f"  {between:<12} {each.n:>8,} {each.probability:>7.1%} {each.right:>7.1%}"


def measure_tokens(gpt: InferenceGpt, docs: Sequence[Document], text: TextKind) -> NDArray[Any]:
    """Return up to MAX_PREDICTIONS rows (probability of the likeliest token, is it right, loss)."""
    found, predict, most = list[NDArray[Any]](), predictions_of(gpt), MAX_PREDICTIONS[gpt.engine]
    for portion in to_score(docs, gpt.tokenizer, text, gpt.config.block_size, most).portions:
        (targets, counts), rows = targets_of(portion), predict(portion)
        losses = -np.log(np.maximum(rows[np.arange(len(rows)), targets], 1e-38))  # without log(0)
        found.append(np.stack([rows.max(1), rows.argmax(1) == targets, losses], 1)[counts])
        if sum(map(len, found)) >= most:
            break
    return np.concatenate(found)


def reply_calibration(gpt: InferenceGpt, answers: Sequence[Answer]) -> Calibration:
    """Return the calibration of replies; a reply's probability is the product over its tokens."""
    pairs, size = list[tuple[float, bool]](), gpt.config.block_size
    for answer in answers[:: -(-len(answers) // MAX_REPLIES) or 1]:
        place = answer.item.place
        with suppress(PromptError):  # raised if the question or the encoded reply is too long
            prompt = gpt.chat_prompt(answer.item.conversation[max(0, place - size) : place])
            if prompt.fixed_reply is None:
                tokens = reply_tokens(gpt, prompt, answer.reply or "")
                pairs.append((exp(sum(log_p for _, log_p in tokens)), answer.is_exact))
    return Calibration.from_pairs(pairs)


def reply_tokens(gpt: InferenceGpt, prompt: ChatPrompt, reply: str) -> list[tuple[str, float]]:
    """Return a reply's tokens and its end-of-turn token, each with its log-probability."""
    tokens = [*gpt.tokenizer.encode(reply), gpt.tokenizer.end_turn_id]
    rows = gpt.log_probabilities([*prompt.tokens, *tokens[:-1]], len(prompt.tokens) - 1)
    pairs = zip(tokens, rows, strict=True)
    return [(gpt.tokenizer.label(token), row[token]) for token, row in pairs]


def draw_calibration(found: Mapping[str, Calibration]) -> "ChartType":
    """Return a chart with a curve per named calibration, and a diagonal for perfect calibration."""
    import altair as alt

    names = {f"{name}: error {each.error:.1%}": each.bins for name, each in found.items()}
    rows = [{"name": name, **vars(each)} for name, bins in names.items() for each in bins]
    rows += [{"name": "perfect", "probability": i, "right": i} for i in (0, 1)]
    scale = alt.Scale(domain=[*names, "perfect"], range=[*COLORS[: len(names)], GREY])
    x, y = (alt.X("probability:Q"), alt.Y("right:Q", title="share that is right"))
    color = alt.Color("name:N", scale=scale)
    points = alt.Chart(alt.InlineData(values=rows)).mark_line(point=True)
    chart: ChartType = points.encode(x.axis(format="%"), y.axis(format="%"), color)
    return chart.properties(width=SIZE, height=SIZE)
