"""Training documents as NumPy arrays.

Layout: flat int64 arrays that contain the documents one after another; a row of soft targets is the
distribution for one prediction. See docs/engine.md#vectors.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt import TokenDataset, Tokens

NO_ROWS = np.empty((0, 0), np.float32)


class Dataset(NamedTuple):
    """The contents of a `TokenDataset` as NumPy arrays. V = vocab_size."""

    tokens: NDArray[Any]  # tokens of all documents, concatenated
    starts: NDArray[Any]  # (documents + 1), start of each document, and total number of tokens
    mask: NDArray[Any]  # see `TokenDataset.mask`
    targets_before: NDArray[Any]  # (documents + 1), cumulative number of unmasked predictions
    soft_targets: NDArray[Any]  # (predictions, V), float32; no rows if the targets are tokens

    @classmethod
    def of(cls, docs: Sequence[Tokens]) -> "Dataset":
        """Return a dataset of the concatenated documents."""
        dataset = TokenDataset.of(docs)
        tokens, starts = (np.frombuffer(x, np.int64) for x in (dataset.tokens, dataset.starts))
        mask = np.frombuffer(dataset.mask, np.int8)
        n_targets = np.diff(starts) - 1  # every token of a document except the first
        if mask.size:
            n_before = np.concatenate(([0], np.cumsum(mask, dtype=np.int64)))
            n_targets = n_before[starts[1:]] - n_before[starts[:-1] + 1]
        targets_before = np.concatenate(([0], np.cumsum(n_targets)))
        soft = dataset.soft_targets
        return cls(tokens, starts, mask, targets_before, NO_ROWS if soft is None else soft)

    @property
    def longest(self) -> int:
        """The largest number of predicted tokens in a document."""
        return int(np.diff(self.starts).max()) - 1
