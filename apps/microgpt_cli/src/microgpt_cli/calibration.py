"""Calibration: of the predictions with a probability of 90 %, are 90 % right?

The error is that of Guo et al. (2017): the mean difference between probability and share of right
predictions in ten bins, weighted by their number. Only the most likely token counts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING

import numpy as np

from microgpt import Answer, Document, InferenceGpt, TextKind, percentage
from microgpt_cli.charts import BLUE, GREY, ORANGE
from microgpt_cli.counting import held_out, targets_of

if TYPE_CHECKING:
    from altair.typing import ChartType

N_BINS = 10
MAX_PREDICTIONS = {"compiled": 2**17, "reference": 2**11}  # measured; enough for 0.2 %
SIZE = 320  # of the picture, in pixels


@dataclass(frozen=True)
class Bin:
    """Predictions with similar probabilities."""

    low: float  # the lowest probability of the bin
    n: int
    probability: float  # mean
    right: float  # share of right predictions


@dataclass(frozen=True)
class Calibration:
    """The probabilities of predictions, compared with how many of them are right."""

    bins: tuple[Bin, ...]  # without empty ones

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, bool]]) -> "Calibration":
        """Return the calibration of predictions: each has a probability, and is right or wrong."""
        found = np.array([*pairs], np.float64).reshape(-1, 2)
        place = np.minimum((found[:, 0] * N_BINS).astype(int), N_BINS - 1)
        rows = ((i / N_BINS, found[place == i]) for i in range(N_BINS))
        return cls(
            tuple(Bin(low, len(each), *each.mean(0).tolist()) for low, each in rows if len(each))
        )

    @property
    def n(self) -> int:
        """The number of predictions."""
        return sum(each.n for each in self.bins)

    @property
    def error(self) -> float:
        """The expected calibration error, from 0 to 1."""
        gaps = sum(each.n * abs(each.probability - each.right) for each in self.bins)
        return gaps / max(1, self.n)

    def facts(self) -> dict[str, object]:
        """Return everything as JSON values."""
        return {"error": self.error, "n": self.n, "bins": [vars(each) for each in self.bins]}

    def lines(self, what: str) -> Iterator[str]:
        """Yield the lines of a report; `what` names the predictions."""
        yield f"calibration of {self.n:,} {what}: expected error {self.error:.1%}"
        yield f"  {'probability':<12} {'n':>8} {'mean':>7} {'right':>7}"
        for each in self.bins:
            between = f"{each.low:.0%} to {each.low + 1 / N_BINS:.0%}"
            yield f"  {between:<12} {each.n:>8,} {each.probability:>7.1%} {each.right:>7.1%}"


def token_calibration(gpt: InferenceGpt, docs: Sequence[Document], text: TextKind) -> Calibration:
    """Return the calibration of the most likely tokens of documents, or of the first of them."""
    pairs = list[tuple[float, bool]]()
    for portion in held_out(docs, gpt.tokenizer, text, gpt.config.block_size).portions:
        targets, counts = targets_of(portion)
        rows = np.zeros((len(targets), gpt.config.vocab_size), np.float32)
        gpt.engine_model.add_probabilities(portion, rows)
        is_right = rows.argmax(1) == targets
        pairs += zip(rows.max(1)[counts].tolist(), is_right[counts].tolist(), strict=True)
        if len(pairs) >= MAX_PREDICTIONS[gpt.engine]:
            break
    return Calibration.of(pairs)


def reply_calibration(gpt: InferenceGpt, answers: Sequence[Answer]) -> Calibration:
    """Return the calibration of whole replies, whose probability is that of all their tokens."""
    pairs = list[tuple[float, bool]]()
    for answer in answers:
        conversation, place = answer.item.conversation, answer.item.place
        if answer.reply is None:
            continue
        prompt = gpt.chat_prompt(conversation[max(0, place - gpt.config.block_size) : place])
        reply = [*gpt.tokenizer.encode(answer.reply), gpt.tokenizer.end_turn_id]
        tokens = [*prompt.tokens, *reply]
        if prompt.fixed_reply is None and len(tokens) <= gpt.config.block_size + 1:
            rows = gpt.log_probabilities(tokens[:-1], len(prompt.tokens) - 1)
            total = sum(row[token] for row, token in zip(rows, reply, strict=True))
            pairs.append((exp(total), answer.is_exact))
    return Calibration.of(pairs)


def draw_calibration(found: dict[str, Calibration]) -> "ChartType":
    """Return the chart of calibrations by name: points on the diagonal are perfect."""
    import altair as alt

    rows = [
        {"name": f"{name}: error {percentage(each.error)}", **vars(one)}
        for name, each in found.items()
        for one in each.bins
    ]
    scale = alt.Scale(domain=[0, 1])
    line = alt.Chart(alt.InlineData(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
    points = alt.Chart(alt.InlineData(values=rows)).encode(
        alt.X("probability:Q", title="probability", scale=scale, axis=alt.Axis(format="%")),
        alt.Y("right:Q", title="share that was right", scale=scale, axis=alt.Axis(format="%")),
        alt.Color("name:N", title=None, scale=alt.Scale(range=[BLUE, ORANGE])),
    )
    return alt.layer(
        line.mark_line(color=GREY, strokeDash=[4, 4]).encode(alt.X("x:Q"), alt.Y("y:Q")),
        points.mark_line(strokeWidth=1),
        points.mark_point(filled=True, opacity=1).encode(
            alt.Size("n:Q", legend=None, scale=alt.Scale(range=[20, 400]))
        ),
    ).properties(width=SIZE, height=SIZE)
