"""Byte-level BPE (byte pair encoding) with Hugging Face's tokenizers.

A learned vocabulary has all 256 bytes and the most frequent byte sequences of the training data, so
it can encode any text; an imported one can lack some bytes. `BpeTokenizer` adds special tokens.
"""

import json
import re
from codecs import iterdecode
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

from microgpt.config import checked
from microgpt.data.tokenizer import (
    SPECIAL_TOKENS,
    AnyDocument,
    Document,
    Tokenizer,
    all_texts,
    are_texts,
    as_documents,
)
from microgpt.errors import ConfigError, TokenizerError
from microgpt.formatting import printable

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Library

DEFAULT_VOCAB_SIZE = 1024
N_BYTES = 256
SURROGATE = re.compile("[\ud800-\udfff]")  # half of a UTF-16 pair; UTF-8 cannot encode it
MIN_FREQUENCY = 2  # pairs that occur only once are not merged

# The package tokenizers never merges across words, so each word (a match of WORDS) is encoded and
# cached by itself. Python's \s matches U+001C to U+001F, where tokenizers does not split texts.
BLANK, MARK = r"[^\S\x1c-\x1f]", r"[\S\x1c-\x1f]"
WORDS = re.compile(f" ?{MARK}+|{BLANK}+(?!{MARK})|{BLANK}")
MAX_CACHED_WORDS = 2**16  # usually 15 MB; at most 100 MB, because only short words are cached
MAX_CACHED_LENGTH = 32
# Training time is quadratic in the word length, and the trainer uses 80 bytes of memory per
# character. Texts are therefore split at the first word boundary after PART_LENGTH characters, or
# at twice that length if there is no boundary.
PART_LENGTH = 2**10
MAX_LEARNED = 2**22  # maximum characters to train on, which takes 1 s; larger texts are sampled
WORD_BOUNDARY = re.compile(f"(?<={MARK})(?={BLANK})")


class BpeTokenizer(Tokenizer):
    """A tokenizer whose tokens are bytes and byte sequences."""

    kind = "bpe"
    unit = "tokens"
    has_file = True

    def __init__(self, file: bytes, *, is_chat: bool = False) -> None:
        self.file: bytes = file
        self._library, pieces = _read_library(file)
        super().__init__(pieces, is_chat=is_chat)
        self._bytes_of = dict(enumerate(pieces)) | dict.fromkeys(self.special_ids, b"")
        self._missing = {*range(N_BYTES)} - {piece[0] for piece in pieces if len(piece) == 1}
        self._tokens_of = _EncodedWords(self._library)

    @classmethod
    def from_documents(
        cls, docs: Iterable[AnyDocument], vocab_size: int = DEFAULT_VOCAB_SIZE
    ) -> "BpeTokenizer":
        """Train a tokenizer on texts or conversations; large data are sampled at even intervals.

        The vocabulary is smaller than vocab_size, which includes special tokens, if too few pairs
        occur at least twice.

        Raises:
            ConfigError: vocab_size is too small for the 256 bytes and the special tokens.
            TokenizerError: a document contains a lone surrogate, or tokenizers is not installed.
        """
        docs = as_documents(docs)
        texts, is_chat = all_texts(docs), not are_texts(docs)
        n_other = 1 + len(SPECIAL_TOKENS) * is_chat
        if checked("vocab_size", vocab_size, int) < N_BYTES + n_other:
            raise ConfigError(
                f"vocab_size must be >= {N_BYTES + n_other} ({N_BYTES} bytes and {n_other} special "
                f"tokens), got {vocab_size}"
            )
        if found := [*chain.from_iterable(map(SURROGATE.findall, texts))]:
            raise _unknown_error("".join(found))
        return cls(_learn(texts, vocab_size - n_other), is_chat=is_chat)

    def extended(self, docs: Iterable[Document], *, is_chat: bool) -> "BpeTokenizer":
        """Return a tokenizer with the same subwords, with or without chat tokens."""
        return BpeTokenizer(self.file, is_chat=is_chat)

    def unknown_characters(self, text: str) -> str:
        """Return the lone surrogates in a text, and characters with a byte that has no token."""
        chars = dict.fromkeys(text if self._missing else SURROGATE.findall(text))
        return "".join(char for char in chars if self._is_unknown(char))

    def _is_unknown(self, char: str) -> bool:
        return bool(SURROGATE.match(char)) or not self._missing.isdisjoint(char.encode())

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text; raise TokenizerError listing all unknown characters."""
        return [*chain.from_iterable(self._words(text))]

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return sum(map(len, self._words(text)))

    def decode(self, tokens: Iterable[int]) -> str:
        """Decode tokens to text, replacing invalid UTF-8 with U+FFFD."""
        return b"".join(map(self._bytes, tokens)).decode(errors="replace")

    def decode_stream(self, tokens: Iterable[int]) -> Iterator[str]:
        """Decode tokens as they arrive, yielding only complete characters."""
        return iterdecode(map(self._bytes, tokens), "utf-8", errors="replace")

    def _bytes(self, token: int) -> bytes:
        if token not in self._bytes_of:
            raise TokenizerError(f"token {token} is not in the vocabulary")
        return self._bytes_of[token]

    def _words(self, text: str) -> Iterator[Sequence[int]]:
        """Return the tokens of each word; raise TokenizerError listing all unknown characters."""
        if unknown := self.unknown_characters(text):
            raise _unknown_error(unknown)
        return map(self._tokens_of.__getitem__, WORDS.findall(text))


class _EncodedWords(dict[str, Sequence[int]]):
    """A mapping from words to tokens. Words are encoded on access; short words are cached."""

    def __init__(self, library: "Library") -> None:
        self._library = library

    def __missing__(self, word: str) -> Sequence[int]:
        # The batch method releases the GIL: the encoding time is quadratic in the word length.
        tokens = tuple(self._library.encode_batch_fast([word], add_special_tokens=False)[0].ids)
        if len(word) <= MAX_CACHED_LENGTH:
            if len(self) >= MAX_CACHED_WORDS:
                self.clear()
            self[word] = tokens
        return tokens


def _learn(texts: Collection[str], n_pieces: int) -> bytes:
    """Train BPE on texts and return the content of tokenizer.json."""
    library = _new_library()
    from tokenizers.trainers import BpeTrainer

    max_pieces = N_BYTES + sum(len(text.encode()) for text in texts)  # at most one merge per byte
    trainer = BpeTrainer(
        vocab_size=min(n_pieces, max_pieces),  # limits the memory that the trainer allocates
        min_frequency=MIN_FREQUENCY,
        initial_alphabet=sorted(_byte_of()),
        show_progress=False,
    )
    every = 1 + sum(map(len, texts)) // MAX_LEARNED
    stretches = chain.from_iterable(map(_stretches, texts))
    library.train_from_iterator(islice(stretches, 0, None, every), trainer)
    return library.to_str(pretty=True).encode()


def _stretches(text: str) -> Iterator[str]:
    """Split a text into parts of up to 2 * PART_LENGTH characters, if possible between words."""
    start = 0
    while start < len(text):
        place = WORD_BOUNDARY.search(text, start + PART_LENGTH, start + 2 * PART_LENGTH)
        end = place.start() if place else start + 2 * PART_LENGTH
        yield text[start:end]
        start = end


def _unknown_error(chars: str) -> TokenizerError:
    unknown = ", ".join(map(repr, dict.fromkeys(chars)))
    remedy = "remove them, or read the text as UTF-8"
    return TokenizerError(f"the vocabulary has no token for {unknown}; {remedy}")


def _new_library() -> "Library":
    """Return an untrained tokenizer; raise TokenizerError if tokenizers is not installed."""
    try:
        from tokenizers import Tokenizer as Library
        from tokenizers import decoders, models, pre_tokenizers
    except ImportError as error:
        raise TokenizerError(
            f"subword tokens require the bpe extra ({error}); run: pip install 'microgpt-lib[bpe]'"
        ) from error
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    return library


def _read_library(file: bytes) -> tuple["Library", list[bytes]]:
    """Load the content of tokenizer.json; return the tokenizer and the bytes of each token.

    Only the validated vocabulary and merges are passed to tokenizers: this package panics on some
    invalid files, and allocates memory in proportion to the largest token id.
    """
    library = _new_library()
    from tokenizers.models import BPE

    vocabulary, merges, settings = _parsed(file)
    ours = _parsed(library.to_str())[2]
    if wrong := [key for key in ours | settings if settings.get(key) != ours.get(key)]:
        value = json.dumps(settings.get(wrong[0]))
        raise TokenizerError(
            f"unsupported tokenizer: {printable(wrong[0], 40)} is {printable(value, 80)}"
        )
    pieces = _pieces(vocabulary)
    for first, second in merges:  # a merge of unknown tokens could make tokenizers panic
        if unknown := [t for t in (first, second, first + second) if t not in vocabulary]:
            problem = f"the merge of {first!r} and {second!r} needs a missing token: {unknown[0]!r}"
            raise TokenizerError(f"the tokenizer is damaged: {printable(problem)}")
    library.model = BPE(vocab=vocabulary, merges=merges)
    return library, pieces


def _parsed(file: bytes | str) -> tuple[dict[str, int], list[tuple[str, str]], dict[str, object]]:
    """Return the vocabulary, the merges and a mapping of the other settings in tokenizer.json."""
    try:
        facts = json.loads(file)
        vocabulary, merges = facts["model"].pop("vocab"), facts["model"].pop("merges")
        model = {f"model.{key}": value for key, value in facts.pop("model").items()}
        merges = [(first, second) for first, second in merges]
        is_valid = all(isinstance(each, str) for pair in merges for each in pair)
        is_valid = is_valid and all(type(number) is int for number in vocabulary.values())
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        is_valid = False
    if not is_valid:
        raise TokenizerError(
            "not a valid tokenizer: its model must contain vocab, which maps texts to integers, "
            "and merges, a list of pairs of texts"
        )
    return vocabulary, merges, {**facts, **model}


def _pieces(vocabulary: dict[str, int]) -> list[bytes]:
    """Return the bytes of each token; raise TokenizerError if the vocabulary is invalid."""
    bytes_ = _byte_of()
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    if [vocabulary[piece] for piece in pieces] != list(range(len(pieces))):
        raise TokenizerError("token ids must be consecutive integers from 0")
    chars = {*"".join(pieces)}
    if not (chars and chars <= bytes_.keys() & vocabulary.keys()):
        raise TokenizerError("tokens must be byte sequences, including each of their single bytes")
    return [bytes(bytes_[char] for char in piece) for piece in pieces]


def _byte_of() -> dict[str, int]:
    """Return the byte for each character of a vocabulary in the format of tokenizers.

    The package tokenizers represents a printable byte by the character with the same code point,
    and the other bytes, in ascending order, by the characters from U+0100 on.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    chars = sorted(ByteLevel.alphabet())
    others = (byte for byte in range(N_BYTES) if chr(byte) not in chars)
    return {char: ord(char) if ord(char) < N_BYTES else next(others) for char in chars}
