"""The effect of a change in training on the bits of documents, compared with other seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import stdev
from typing import NamedTuple

from microgpt.config import LossOn, TextKind
from microgpt.data.tokenizer import Document
from microgpt.evaluation.held_out_loss import bits
from microgpt.evaluation.predictor import Predictor


class Change(NamedTuple):
    """The bits after a changed run, the change, and its ratio to the spread, if known."""

    bits: float
    change: float  # positive if the documents have become less likely
    times: float | None


@dataclass(frozen=True)
class Baseline:
    """The bits after a training run and after the same run with other seeds.

    Example:
        >>> Baseline(10.0, (9.0, 11.0)).change_to(13.0)
        Change(bits=13.0, change=3.0, times=3.0)
    """

    bits: float
    seeds: Sequence[float] = ()

    @cached_property
    def spread(self) -> float | None:
        """The standard deviation over all seeds; None if there is only one."""
        return stdev((self.bits, *self.seeds)) if self.seeds else None

    def __str__(self) -> str:
        return f"the spread of {1 + len(self.seeds)} seeds is {self.spread or 0:.2f} bits"

    def change_to(self, bits: float) -> Change:
        """Return the change from this baseline to the bits after a changed run."""
        change = bits - self.bits
        return Change(bits, change, change / self.spread if self.spread else None)

    def facts(self) -> dict[str, object]:
        """Return all fields as JSON values."""
        return {"bits": self.bits, "seeds": list(self.seeds), "spread": self.spread}


def bits_per_document(
    gpt: Predictor, docs: Sequence[Document], *, loss_on: LossOn, text: TextKind
) -> float:
    """Return the mean bits per document, including the end; `loss_on` applies to conversations."""
    found = gpt.evaluate(docs, loss_on=loss_on, text=text)
    return bits(found.loss) * found.n_tokens / found.n_docs
