"""Training documents as NumPy arrays."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt.data.token_dataset import TokenDataset, Tokens


class Dataset(NamedTuple):
    """The contents of a `TokenDataset` as NumPy arrays."""

    tokens: NDArray[Any]  # tokens of all documents, concatenated
    starts: NDArray[Any]  # (documents + 1), start of each document, and total number of tokens
    mask: NDArray[Any]  # see `TokenDataset.mask`
    targets_before: NDArray[Any]  # (documents + 1), cumulative number of unmasked predictions

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
        return cls(tokens, starts, mask, np.concatenate(([0], np.cumsum(n_targets))))

    @property
    def longest(self) -> int:
        """The largest number of predicted tokens in a document."""
        return int(np.diff(self.starts).max()) - 1
