"""Score texts by how much they surprise a model, in bits per character."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from microgpt.config import TextKind, check_type
from microgpt.data.sliding_windows import SlidingWindows
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import CharTokenizer, as_documents
from microgpt.errors import ConfigError, PromptError
from microgpt.evaluation.predictor import Predictor
from microgpt.sampling import NOT_FINITE_MESSAGE

# Bits of a character that the model does not know: enough to name one of Unicode's code points.
UNKNOWN_BITS = math.log2(0x110000)
WORK_AT_ONCE = 10**9  # number of weights times tokens that are read together, to save memory

Bits = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Score:
    """How much a text surprises a model."""

    text: str
    bits: float  # of surprise in all, including the end of the text
    n_scored: int  # number of characters, plus one for the end if it is predicted
    n_unknown: int  # number of characters that the model does not know
    character_bits: Bits  # of each character; subwords are divided evenly among their characters

    @property
    def bits_per_character(self) -> float:
        """The surprise per character, including the end."""
        return self.bits / self.n_scored if self.n_scored else 0.0


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
        self._gpt, self._n_at_once = gpt, WORK_AT_ONCE // gpt.num_params
        self._token_of: NDArray[np.int64] | None = None  # by code point; -1 if unknown
        if type(self._tokenizer) is CharTokenizer:
            chars = self._tokenizer.chars
            self._token_of = np.full(2 + max(map(ord, chars)), -1)
            self._token_of[list(map(ord, chars))] = range(len(chars))

    def score(self, texts: Iterable[str]) -> list[Score]:
        """Return the scores of texts.

        The model reads a text without its unknown characters. A text longer than the context is
        read in overlapping windows, as in `Predictor.evaluate`.

        Raises:
            DataError: texts is not a list of texts.
            PromptError: a logit is not finite.
        """
        texts = cast("list[str]", list(as_documents(texts)))
        for i, each in enumerate(texts):
            check_type(f"texts[{i}]", each, str)
        joined = "".join(texts)
        code_points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        starts = _starts([len(text) for text in texts])
        if self._token_of is None:
            unknown = self._tokenizer.unknown_characters(joined)
            is_known = ~np.isin(code_points, list(map(ord, unknown)))
            omit = str.maketrans("", "", unknown)
            lists = [self._tokenizer.encode(text.translate(omit)) for text in texts]
            tokens = np.fromiter(chain.from_iterable(lists), np.int64)
            n_tokens = np.array([len(each) for each in lists], np.int64)
        else:
            tokens = self._token_of[np.minimum(code_points, self._token_of.size - 1)]
            is_known = tokens >= 0
            tokens, n_tokens = tokens[is_known], np.diff(_starts(is_known)[starts])
        bits = self._bits(tokens, n_tokens)
        if not np.isfinite(bits).all():
            raise PromptError(NOT_FINITE_MESSAGE)
        is_text = np.ones(bits.size, bool)
        if self._n_ends:
            is_text[np.cumsum(n_tokens + 1) - 1] = False
        character_bits = np.full(code_points.size, UNKNOWN_BITS)
        character_bits[is_known] = self._of_characters(bits[is_text], tokens, code_points[is_known])
        n_unknown = np.diff(_starts(~is_known)[starts])
        facts = zip(
            texts,
            (_sums(bits, n_tokens + self._n_ends) + UNKNOWN_BITS * n_unknown).tolist(),
            (np.diff(starts) + self._n_ends).tolist(),
            n_unknown.tolist(),
            (character_bits[i:j] for i, j in pairwise(starts.tolist())),
            strict=True,
        )
        return [Score(*each) for each in facts]

    def _bits(self, tokens: Counts, n_tokens: Counts) -> Bits:
        """Return the bits of each token of each text, and of its end if the end is predicted."""
        bos, size = self._tokenizer.bos_id, self._gpt.config.block_size
        n_predicted = n_tokens + self._n_ends
        firsts, bits = _starts(n_tokens), np.empty(n_predicted.sum())
        is_short = (n_predicted > 0) & (n_predicted <= size)
        # Short texts are read together: the start token, the tokens, and the end token if any.
        places = _starts(np.where(is_short, n_predicted + 1, 0))
        read, is_token = np.full(places[-1], bos), np.ones(places[-1], bool)
        is_token[places[:-1][is_short]] = False
        if self._n_ends:
            is_token[places[1:][is_short] - 1] = False
        read[is_token] = tokens[np.repeat(is_short, n_tokens)]
        dataset = TokenDataset()
        dataset.tokens.frombytes(read.tobytes())
        dataset.starts.frombytes(places[1:][is_short].tobytes())
        short, first = [np.empty(0)], 0
        while first < len(dataset):
            end = bisect_right(dataset.starts, dataset.starts[first] + self._n_at_once) - 1
            end = max(first + 1, end)
            short.append(self._gpt.losses(dataset[first:end]))
            first = end
        bits[np.repeat(is_short, n_predicted)] = np.concatenate(short)
        is_long = n_predicted > size
        limits = zip(firsts[:-1][is_long], firsts[1:][is_long], strict=True)
        long = self._long_losses(tokens[first:end] for first, end in limits)
        bits[np.repeat(is_long, n_predicted)] = np.concatenate([np.empty(0), *long])
        return bits / math.log(2)

    def _long_losses(self, texts: Iterable[Counts]) -> Iterator[NDArray[Any]]:
        """Yield the losses of texts longer than the context, a few windows at a time."""
        bos, size = self._tokenizer.bos_id, self._gpt.config.block_size
        docs = ([bos, *text.tolist(), *[bos] * self._n_ends] for text in texts)
        first = None if self._n_ends else bos
        windows = chain.from_iterable(SlidingWindows(doc, size, first=first) for doc in docs)
        while True:
            dataset = TokenDataset()
            for tokens, mask in islice(windows, max(2, self._n_at_once // size)):
                dataset.append(tokens, mask or b"\1" * len(tokens))
            if not len(dataset):
                return
            is_new = np.delete(np.frombuffer(dataset.mask, bool), dataset.starts[:-1])
            yield self._gpt.losses(dataset)[is_new]

    def _of_characters(self, bits: Bits, tokens: Counts, code_points: NDArray[np.uint32]) -> Bits:
        """Return the bits of known characters, given those of tokens."""
        if self._token_of is not None:
            return bits
        distinct, ids = np.unique(code_points, return_inverse=True)
        # The parts of a character are the tokens to which it is folded, or bytes of subwords.
        folds = isinstance(self._tokenizer, CharTokenizer)
        n_parts = [
            self._tokenizer.count(char) if folds else len(char.encode())
            for char in map(chr, distinct)
        ]
        sizes = np.array([len(name) for name in self._tokenizer.piece_names])[tokens]
        return _sums(np.repeat(bits / sizes, sizes), np.array(n_parts, np.int64)[ids])


def _starts(counts: Sequence[int] | NDArray[Any]) -> Counts:
    """Return the cumulative sums of counts, starting at 0."""
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))


def _sums(values: Bits, counts: Counts) -> Bits:
    """Return the sums of consecutive groups of values; `counts` holds the group sizes."""
    ids = np.repeat(np.arange(counts.size), counts)
    return np.bincount(ids, values, counts.size).astype(np.float64, copy=False)
