"""Compare the results of another program with a model's receipt."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from microgpt import CheckpointError, Sampling, Verification, printable, sample
from microgpt_exports.receipt import Receipt, ReceiptContinuation, ReceiptText

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 1e-3  # largest difference of a log-probability, in nats
PIECE = 16  # tokens read at once, so that the logits of a large vocabulary need little memory
WIDTH = 32  # characters of a text in the table of a verdict
N_BYTES = 16  # first bytes of a file, by which its format is known


class Runtime(Protocol):
    """A program that runs an exported model."""

    def read(self, tokens: Sequence[int], cache: Any) -> "tuple[NDArray[Any], Any]":
        """Return the logits after each token (T, V), and the new cache; None is an empty cache."""


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file; none of a directory or a pipe, which would not end."""
    if not path.is_file():
        return b""
    try:
        with open(path, "rb") as file:
            return file.read(N_BYTES)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def running(program: str) -> Iterator[None]:
    """Convert any exception of a program to a CheckpointError; they have no common base class."""
    try:
        yield
    except Exception as error:
        problem = printable(" ".join(str(error).split()))
        raise CheckpointError(f"{program} cannot run the model: {problem}") from error


@dataclass(frozen=True)
class Comparison:
    """How much a runtime differs from a receipt."""

    texts: tuple[tuple[float, float], ...]  # log-probability here, largest difference of a token
    n_equal: tuple[int, ...]  # equal tokens of each continuation
    largest: float  # the largest difference of a log-probability

    def passes(self, receipt: Receipt) -> bool:
        """Return whether all differences are within their limits; NaN never is."""
        are_equal = self.n_equal == tuple(len(each.tokens) for each in receipt.continuations)
        return self.largest <= MOST and are_equal


def verdict(receipt: Receipt, runtime: Runtime) -> Verification:
    """Return how the results of a runtime differ from a receipt, and whether they pass."""
    found = compare(receipt, runtime)
    lines = [f"{'text':<{WIDTH}}  {'receipt':>10}  {'here':>10}  {'largest difference':>18}"]
    for text, (total, difference) in zip(receipt.texts, found.texts, strict=True):
        numbers = f"{text.total:>10.4f}  {total:>10.4f}  {difference:>18.1e}"
        lines.append(f"{printable(text.text, WIDTH - 1):<{WIDTH}}  {numbers}")
    for expected, n_equal in zip(receipt.continuations, found.n_equal, strict=True):
        kind, n = "seeded" if expected.temperature else "greedy", len(expected.tokens)
        outcome = "equal" if n_equal == n else f"token {n_equal} differs"
        lines.append(f"{kind} continuation: {outcome} ({n - 1} tokens)")
    lines.append(f"largest difference: {found.largest:.1e} nats (at most {MOST:g})")
    return Verification(tuple(lines), found.passes(receipt))


def compare(receipt: Receipt, runtime: Runtime) -> Comparison:
    """Compute the texts and continuations of a receipt in a runtime, and compare the results."""
    import numpy as np

    texts = tuple(_compared(text, runtime) for text in receipt.texts)
    n_equal = tuple(_n_equal(each, runtime) for each in receipt.continuations)
    largest = float(np.max([difference for _, difference in texts]))  # NaN if one is
    return Comparison(texts, n_equal, largest)


def _compared(text: ReceiptText, runtime: Runtime) -> tuple[float, float]:
    """Return the log-probability of a text in a runtime, and the largest difference of a token."""
    import numpy as np

    cache, here = None, []
    for start in range(0, len(text.tokens) - 1, PIECE):
        tokens = text.tokens[start : start + PIECE + 1]
        logits, cache = runtime.read(tokens[:-1], cache)
        rows = logits.astype(float)
        with np.errstate(all="ignore"):  # a difference that is not a number does not pass
            rows -= rows.max(axis=1, keepdims=True)
            rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
        here += [row[token] for row, token in zip(rows, tokens[1:], strict=True)]
    differences = np.abs(np.subtract(here, text.log_probabilities))
    return float(sum(here)), float(differences.max())


def _n_equal(expected: ReceiptContinuation, runtime: Runtime) -> int:
    """Return the number of equal tokens of a continuation before the first difference."""
    sampling, rng = Sampling(temperature=expected.temperature), random.Random(expected.seed)
    cache = None
    for i, token in enumerate(expected.tokens[:-1]):
        logits, cache = runtime.read([token], cache)
        drawn = sample(logits[-1].tolist(), sampling=sampling, rng=rng, forbidden=())
        if drawn != expected.tokens[i + 1]:
            return i + 1
    return len(expected.tokens)
