"""What documents are like: how many, how long, of which characters, what lies beyond a context."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from microgpt.data.sliding_windows import half, n_windows
from microgpt.data.tokenizer import CharTokenizer, Document, Tokenizer, texts_of
from microgpt.errors import DataError

N_FREQUENT = 5  # documents that are named because they come so often
RARE = 10  # a character that comes less often is hardly learnt
N_BINS = 16  # of a histogram, about: what fits on a page
# A context above it is not recommended: the time and memory of attention grow with its square.
MAX_RECOMMENDED = 1024


@dataclass(frozen=True)
class Cut:
    """What lies beyond a context; `TrainConfig.long_docs` says what becomes of it."""

    block_size: int  # the context
    n_docs: int  # the documents that do not fit into it
    n_tokens: int  # the tokens beyond it


@dataclass(frozen=True)
class Bin:
    """How many documents have a length from the first to the last of these."""

    first: int
    last: int
    n_docs: int


@dataclass(frozen=True)
class DataReport:
    """What documents are like. A length is the number of tokens that the model must predict.

    That is one for each piece of text, of which most tokenizers make a character, and one for the
    end; in a conversation two more a turn. A document fits into a context that is no shorter.
    """

    tokenizer: Tokenizer  # what the lengths are counted with
    n_docs: int
    n_repeats: int  # those that have come before
    most_frequent: Sequence[
        tuple[Document, int]
    ]  # of those that come more than once, and how often
    lengths: Mapping[int, int]  # how many documents have each length, the shortest first
    char_counts: Mapping[str, int]  # how often each character comes, in their order

    @property
    def n_tokens(self) -> int:
        """The tokens to predict."""
        return sum(length * n for length, n in self.lengths.items())

    @property
    def rare(self) -> dict[str, int]:
        """The characters that come less than 10 times, and how often, the rarest first."""
        rare = [(char, n) for char, n in self.char_counts.items() if n < RARE]
        return dict(sorted(rare, key=lambda item: item[1]))

    @property
    def block_size(self) -> int:
        """The context to recommend, a power of two.

        It is the smallest beyond which lies no more than one document and one token of 100; or
        twice that, if it then holds every document. It is at most 1,024.
        """
        size = 2
        while size < MAX_RECOMMENDED:
            cut = self.cut(size)
            if self.is_small(cut) and (not cut.n_docs or self.cut(2 * size).n_docs):
                break
            size *= 2
        return size

    def is_small(self, cut: Cut) -> bool:
        """Return whether it is no more than one document and one token of 100."""
        return 100 * cut.n_docs <= self.n_docs and 100 * cut.n_tokens <= self.n_tokens

    def percentile(self, percent: int) -> int:
        """Return the smallest length that so many documents of 100 do not exceed."""
        rank = max(1, -(-percent * self.n_docs // 100))
        for length, n in self.lengths.items():
            rank -= n
            if rank <= 0:
                return length
        raise ValueError(f"a percentile is from 0 to 100, got {percent}")

    def cut(self, block_size: int) -> Cut:
        """Return what lies beyond a context."""
        beyond = [(length - block_size, n) for length, n in self.lengths.items()]
        beyond = [(excess, n) for excess, n in beyond if excess > 0]
        return Cut(block_size, sum(n for _, n in beyond), sum(excess * n for excess, n in beyond))

    def n_chunks(self, block_size: int) -> int:
        """Return in how many chunks a training reads all documents; see `SlidingWindows`."""
        stride = half(block_size)
        return sum(n_windows(length, block_size, stride) * n for length, n in self.lengths.items())

    def histogram(self) -> list[Bin]:
        """Return the lengths in some 16 bins of a round width.

        The last one reaches to the longest document, however long that is: the others would show
        nothing if a few long documents set their width.
        """
        shortest, typical, longest = map(self.percentile, (0, 99, 100))
        width = _round_up((typical - shortest + 1) / N_BINS)
        start = max(1, shortest // width * width)
        last = (longest - start) // width
        if last > N_BINS:
            last = (typical - start) // width + 1
        counts = [0] * (last + 1)
        for length, n in self.lengths.items():
            counts[min((length - start) // width, last)] += n
        firsts = [start + i * width for i in range(len(counts))]
        ends = [*(first + width - 1 for first in firsts[:-1]), longest]
        return [Bin(*facts) for facts in zip(firsts, ends, counts, strict=True)]


def describe(docs: Sequence[Document], tokenizer: Tokenizer | None = None) -> DataReport:
    """Return what documents, texts or conversations, are like; DataError if there are none.

    The tokenizer counts their lengths; by default it is one of all characters in them.

    Example:
        >>> describe(["anna", "emma", "anna"]).most_frequent
        [('anna', 2)]
    """
    if not docs:
        raise DataError("there are no documents to describe")
    char_counts = Counter(chain.from_iterable(chain.from_iterable(map(texts_of, docs))))
    chars = sorted(char_counts)
    tokenizer = tokenizer or CharTokenizer(
        chars, is_chat=not all(isinstance(doc, str) for doc in docs)
    )
    lengths = Counter(tokenizer.count_tokens(doc) - 1 for doc in docs)
    n_distinct, most_frequent = _repeats(docs)
    return DataReport(
        tokenizer=tokenizer,
        n_docs=len(docs),
        n_repeats=len(docs) - n_distinct,
        most_frequent=most_frequent,
        lengths=dict(sorted(lengths.items())),
        char_counts={char: char_counts[char] for char in chars},
    )


def count_with_others(docs: Iterable[Document], chars: Collection[str]) -> int:
    """Return the number of documents that have a character which is none of these."""
    known = frozenset(chars)
    return sum(not all(map(known.issuperset, texts_of(doc))) for doc in docs)


def _repeats(docs: Iterable[Document]) -> tuple[int, list[tuple[Document, int]]]:
    """Return the number of different documents, and those that come most often."""
    counts = Counter(doc if isinstance(doc, str) else tuple(doc) for doc in docs)
    return len(counts), [(doc, n) for doc, n in counts.most_common(N_FREQUENT) if n > 1]


def _round_up(number: float) -> int:
    """Return the first of 1, 2, 5, 10, 20, 50 and so on that is not less."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= number:
                return step * power
        power *= 10
