"""Score texts by how much they surprise a model, in bits per character."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from microgpt.config import TextKind, check_type
from microgpt.data.chunked_dataset import SlidingWindows
from microgpt.data.tokenizer import as_documents
from microgpt.errors import ConfigError, PromptError
from microgpt.evaluation.held_out_loss import EvaluationSet
from microgpt.inference import InferenceGpt
from microgpt.sampling import NOT_FINITE_MESSAGE

# Bits of a character that the model does not know: enough to name one of Unicode's code points.
UNKNOWN_BITS = math.log2(0x110000)

Bits = NDArray[np.float64]
Counts = NDArray[np.int64]


class Score(NamedTuple):
    """How much a text surprises a model."""

    text: str
    bits: float  # the total surprise, which includes the end of the text
    n_scored: int  # number of characters, plus one for the end if it is predicted
    n_unknown: int  # number of characters that the model does not know
    character_bits: Bits  # the bits of a subword are divided evenly among its characters

    @property
    def bits_per_character(self) -> float:
        """The surprise per character, including the end."""
        return self.bits / self.n_scored if self.n_scored else 0.0


class Scorer:
    """Scores texts with a model that was trained on texts."""

    def __init__(self, gpt: InferenceGpt, *, text: TextKind = "lines") -> None:
        """Prepare a scorer.

        Args:
            text: "stream" if the model was trained on running text; the end of a text is then not
                predicted.

        Raises:
            ConfigError: the model is a chat model.
        """
        if gpt.tokenizer.is_chat:
            raise ConfigError("a chat model cannot score texts; use a model trained on texts")
        self._gpt, self._tokenizer, self._n_ends = gpt, gpt.tokenizer, int(text == "lines")
        self._sizes = np.array([len(name) for name in gpt.tokenizer.piece_names])

    def score(self, texts: Iterable[str]) -> list[Score]:
        """Return the scores of texts.

        The model reads a text without its unknown characters. A text longer than the context is
        read in overlapping windows, as in `InferenceGpt.evaluate`.

        Raises:
            DataError: texts is not a list of texts.
            PromptError: a logit is not finite.
        """
        texts = cast("list[str]", list(as_documents(texts)))
        for i, each in enumerate(texts):
            check_type(f"texts[{i}]", each, str)
        joined, tokenizer, bos = "".join(texts), self._tokenizer, self._tokenizer.bos_id
        unknown = tokenizer.unknown_characters("".join({*joined}))
        known = {*joined}.difference(unknown)
        # The size of each character, as that of a piece, and -1 if it is unknown.
        sizes = {char: self._sizes[tokenizer.encode(char)].sum() for char in known}
        n_parts = np.array([sizes.get(char, -1) for char in joined], np.int64)
        is_known = n_parts >= 0
        omit = str.maketrans("", "", unknown)
        ends = [bos] * self._n_ends
        docs = [[bos, *tokenizer.encode(text.translate(omit)), *ends] for text in texts]
        n_predicted = np.array([len(doc) - 1 for doc in docs], np.int64)
        bits, tokens = self._read(docs)
        if not np.isfinite(bits).all():
            raise PromptError(NOT_FINITE_MESSAGE)
        is_piece = tokens != bos
        n_pieces = self._sizes[tokens[is_piece]]
        parts = np.repeat(bits[is_piece] / n_pieces, n_pieces)
        character_bits = np.full(len(joined), UNKNOWN_BITS)
        character_bits[is_known] = _sums(parts, n_parts[is_known])
        lengths = np.array([len(text) for text in texts], np.int64)
        n_unknown = _sums(~is_known, lengths).astype(np.int64)
        facts = zip(
            texts,
            (_sums(bits, n_predicted) + UNKNOWN_BITS * n_unknown).tolist(),
            (lengths + self._n_ends).tolist(),
            n_unknown.tolist(),
            (character_bits[i:j] for i, j in pairwise([0, *np.cumsum(lengths).tolist()])),
            strict=True,
        )
        return [*map(Score._make, facts)]

    def _read(self, docs: Iterable[list[int]]) -> tuple[Bits, Counts]:
        """Return the bits of each token of each text after the first, and these tokens."""
        size, first = self._gpt.config.block_size, None if self._n_ends else self._tokenizer.bos_id
        read = EvaluationSet(SlidingWindows(doc, size, first=first) for doc in docs)
        found = [(np.empty(0), np.empty(0, np.int64))]
        for portion in read.portions:
            losses = self._gpt.engine_model.losses(portion)
            tokens, counts = np.array(portion.tokens), np.frombuffer(portion.mask, bool)
            targets = np.delete(tokens, portion.starts[:-1])
            is_new = np.delete(counts, portion.starts[:-1]) if counts.size else slice(None)
            found.append((losses[is_new], targets[is_new]))
        losses, tokens = map(np.concatenate, zip(*found, strict=True))
        return losses / math.log(2), tokens


def _sums(values: NDArray[Any], counts: Counts) -> Bits:
    """Return the sums of consecutive groups of values; `counts` holds the group sizes."""
    ids = np.repeat(np.arange(counts.size), counts)
    return np.bincount(ids, values, counts.size).astype(np.float64, copy=False)
