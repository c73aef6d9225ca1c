"""Score texts by how much they surprise a model, in bits per character.

Shapes: N = texts, M = characters of all texts.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from microgpt.config import TextKind
from microgpt.data.sliding_windows import SlidingWindows
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import CharTokenizer
from microgpt.errors import ConfigError, DataError
from microgpt.evaluation.predictor import Predictor

# Bits of a character that the model does not know: enough to name one of Unicode's code points.
UNKNOWN_BITS = math.log2(0x110000)

Bits = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Score:
    """How much a text surprised a model."""

    text: str
    bits: float  # of surprise in all, including the end of the text
    n_scored: int  # number of characters, plus one for the end if it is predicted
    n_unknown: int  # number of characters that the model does not know
    character_bits: Bits  # of each character; subwords are divided evenly among their characters

    @property
    def bits_per_character(self) -> float:
        """The surprise per character, including the end."""
        return self.bits / self.n_scored if self.n_scored else 0.0


@dataclass(frozen=True)
class Scores(Sequence[Score]):
    """The scores of texts, as arrays."""

    texts: Sequence[str]
    bits: Bits  # (N)
    n_scored: Counts  # (N)
    n_unknown: Counts  # (N)
    starts: Counts  # (N + 1), index of the first character of each text, then M
    character_bits: Bits  # (M)

    @cached_property
    def bits_per_character(self) -> Bits:
        """The surprise of each text per character: (N)."""
        return self.bits / np.maximum(self.n_scored, 1)

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, i: int) -> Score: ...
    @overload
    def __getitem__(self, i: slice) -> list[Score]: ...
    def __getitem__(self, i: int | slice) -> Score | list[Score]:
        if isinstance(i, slice):
            return [self[each] for each in range(len(self))[i]]
        i = range(len(self))[i]
        return Score(
            self.texts[i],
            float(self.bits[i]),
            int(self.n_scored[i]),
            int(self.n_unknown[i]),
            self.character_bits[self.starts[i] : self.starts[i + 1]],
        )


class Scorer:
    """Scores texts with a model that was trained on texts."""

    def __init__(self, gpt: Predictor, *, text: TextKind = "lines") -> None:
        """Prepare a scorer.

        Args:
            text: "stream" if the model was trained on running text; the end of a text is then not
                predicted.

        Raises:
            ConfigError: the model is a chat model.
        """
        self._tokenizer, self._n_ends = gpt.tokenizer, int(text == "lines")
        if self._tokenizer.is_chat:
            raise ConfigError("a chat model cannot score texts; use a model trained on texts")
        self._gpt = gpt
        self._token_of: NDArray[np.int64] | None = None  # by code point; -1 if unknown
        if isinstance(self._tokenizer, CharTokenizer):
            chars = self._tokenizer.chars
            self._token_of = np.full(2 + max(map(ord, chars)), -1)
            self._token_of[list(map(ord, chars))] = range(len(chars))
        else:
            self._n_bytes = np.array([len(name) for name in self._tokenizer.piece_names])

    def score(self, texts: Iterable[str]) -> Scores:
        """Return the scores of texts.

        The model reads a text without its unknown characters. A text longer than the context is
        read in overlapping windows, as by `Predictor.evaluate`.

        Raises:
            DataError: texts is a string.
        """
        if isinstance(texts, str):
            raise DataError("texts is a string; pass a list of texts")
        texts = list(texts)
        code_points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        starts = _starts([len(text) for text in texts])
        if self._token_of is None:
            is_known = (code_points < 0xD800) | (code_points > 0xDFFF)  # not half a surrogate pair
            lists = [self._tokenizer.encode(_without_surrogates(text)) for text in texts]
            tokens = np.fromiter(chain.from_iterable(lists), np.int64)
            n_tokens = np.array([len(each) for each in lists], np.int64)
        else:
            tokens = self._token_of[np.minimum(code_points, self._token_of.size - 1)]
            is_known = tokens >= 0
            tokens, n_tokens = tokens[is_known], np.diff(_starts(is_known)[starts])
        bits = self._bits(tokens, n_tokens)
        ends = _starts(n_tokens + self._n_ends)
        is_text = np.ones(bits.size, bool)
        if self._n_ends:
            is_text[ends[1:] - 1] = False
        character_bits = np.full(code_points.size, UNKNOWN_BITS)
        character_bits[is_known] = self._of_characters(bits[is_text], tokens, code_points[is_known])
        n_unknown = np.diff(_starts(~is_known)[starts])
        return Scores(
            texts,
            np.diff(np.concatenate(([0.0], np.cumsum(bits)))[ends]) + UNKNOWN_BITS * n_unknown,
            np.diff(starts) + self._n_ends,
            n_unknown,
            starts,
            character_bits,
        )

    def _bits(self, tokens: Counts, n_tokens: Counts) -> Bits:
        """Return the bits of each token of each text, and of its end if that is predicted."""
        bos, size = self._tokenizer.bos_id, self._gpt.config.block_size
        n_predicted = n_tokens + self._n_ends
        firsts, ends = _starts(n_tokens), _starts(n_predicted)
        bits = np.empty(ends[-1])
        is_short = (n_predicted > 0) & (n_predicted <= size)
        # Short texts are read together: the start token, the tokens, and the end token if any.
        places = _starts(np.where(is_short, n_predicted + 1, 0))
        shift = np.repeat(places[:-1] + 1 - firsts[:-1], n_tokens)
        is_read = np.repeat(is_short, n_tokens)
        read = np.full(places[-1], bos)
        read[(shift + np.arange(tokens.size))[is_read]] = tokens[is_read]
        dataset = TokenDataset()
        dataset.tokens.frombytes(read.tobytes())
        dataset.starts.frombytes(np.unique(places)[1:].tobytes())
        bits[np.repeat(is_short, n_predicted)] = self._gpt.losses(dataset)
        if not (is_long := n_predicted > size).any():
            return bits / math.log(2)
        windows = TokenDataset()
        for i in np.flatnonzero(is_long):
            doc = [bos, *tokens[firsts[i] : firsts[i + 1]].tolist(), *[bos] * self._n_ends]
            for chunk in SlidingWindows(doc, size, first=None if self._n_ends else bos):
                windows.append(*chunk)
        is_new = np.delete(np.frombuffer(windows.mask, bool), windows.starts[:-1])
        bits[np.repeat(is_long, n_predicted)] = self._gpt.losses(windows)[is_new]
        return bits / math.log(2)

    def _of_characters(self, bits: Bits, tokens: Counts, code_points: NDArray[np.uint32]) -> Bits:
        """Return the bits of known characters, given those of tokens."""
        if self._token_of is not None:
            return bits
        sizes = self._n_bytes[tokens]
        sums = np.concatenate(([0.0], np.cumsum(np.repeat(bits / sizes, sizes))))
        limits = np.array([0x80, 0x800, 0x10000])  # characters from here on have one byte more
        n_bytes = 1 + np.searchsorted(limits, code_points, side="right")
        return np.diff(sums[_starts(n_bytes)])


def _starts(counts: Sequence[int] | NDArray[Any]) -> Counts:
    """Return the sums of the first 0, 1, 2 … counts."""
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "ignore").decode()
