"""Subword tokens: byte pair encoding, by Hugging Face's tokenizers.

The pieces of text are the 256 bytes and what has been found most often side by side in the training
data. So every text can be written with them, and comes back as it was. Special tokens are not known
to the library: whatever a text holds, it is text.
"""

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import BaseModel, ConfigDict, ValidationError

from microgpt.config import check_count
from microgpt.errors import ConfigError, TokenizerError
from microgpt.printable import printable
from microgpt.tokenizer import Document, Tokenizer, n_special, texts_of
from microgpt.validation import first_problem

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Library

DEFAULT_VOCAB_SIZE = 1024
N_BYTES = 256
MIN_FREQUENCY = 2  # what comes once only is nothing to learn a token for

# The library's own pattern never joins what these come to, so they can be encoded one by one; and a
# text has few different ones. Python takes four control characters for blanks, Unicode does not.
BLANK, MARK = r"[^\S\x1c-\x1f]", r"[\S\x1c-\x1f]"
WORDS = re.compile(f" ?{MARK}+|{BLANK}+(?!{MARK})|{BLANK}")
MOST_KNOWN, LONGEST_KNOWN = 2**17, 64  # words whose tokens are kept, and their characters: 30 MB
# Learning takes a time that grows with the square of a word, and 80 bytes a character of a text. So
# a text comes in parts of so many characters or more: up to where words part, or twice as many.
LEARNT_TOGETHER = 2**10
BETWEEN_WORDS = re.compile(f"(?<={MARK})(?={BLANK})")


class BpeTokenizer(Tokenizer):
    """A vocabulary of bytes and of sequences of bytes.

    Attributes:
        file: the content of tokenizer.json, in the library's format.

    Raises:
        TokenizerError: the file is damaged, or of another kind of tokenizer; or the library is not
            installed.

    Example:
        >>> tokenizer = BpeTokenizer.from_documents(["anna and emma"], vocab_size=270)
        >>> tokenizer.decode(tokenizer.encode("Ünkнown 👩‍🚀"))
        'Ünkнown 👩‍🚀'
    """

    kind = "bpe"
    unit = "tokens"

    def __init__(self, file: bytes, *, is_chat: bool = False) -> None:
        self.file = file
        self._library, self._pieces = _parsed(file)
        super().__init__(len(self._pieces), is_chat=is_chat)
        self._bytes_of = dict(enumerate(self._pieces)) | dict.fromkeys(self.special_ids, b"")
        self._known: dict[str, Sequence[int]] = {}

    @classmethod
    def from_documents(
        cls, docs: Iterable[Document], vocab_size: int = DEFAULT_VOCAB_SIZE
    ) -> "BpeTokenizer":
        """Return a tokenizer that has learnt from documents: texts or conversations.

        Args:
            docs: what to learn from; leave out what is held out.
            vocab_size: the number of tokens, special ones included; there are fewer where the
                documents have too little that comes twice.

        Raises:
            ConfigError: so few tokens are not enough for the bytes and the special tokens.
            TokenizerError: a document has half a character; or the library is not installed.
        """
        docs = list(docs)
        is_chat = not all(isinstance(doc, str) for doc in docs)
        texts = list(chain.from_iterable(map(texts_of, docs)))
        check_count("vocab_size", vocab_size)
        n_pieces = vocab_size - n_special(is_chat=is_chat)
        if n_pieces < N_BYTES:
            least = N_BYTES + n_special(is_chat=is_chat)
            raise ConfigError(
                f"vocab_size must be >= {least}, for {N_BYTES} bytes and {least - N_BYTES} special "
                f"tokens, got {vocab_size}"
            )
        if half := "".join(map(_halves, texts)):
            raise _half_error(half)
        return cls(_learn(texts, n_pieces), is_chat=is_chat)

    @property
    def piece_names(self) -> Sequence[bytes]:
        """The bytes of each piece."""
        return self._pieces

    def unknown_characters(self, text: str) -> str:
        """Return the halves of characters in a text, which have no bytes; else nothing."""
        return "".join(dict.fromkeys(_halves(text)))

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text; see `Tokenizer`."""
        return list(chain.from_iterable(self._words(text)))

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return sum(map(len, self._words(text)))

    def tokens_of(self, texts: Iterable[str]) -> list[int]:
        """Return the tokens of those texts that are one token each."""
        encoded = (self.encode(text) for text in texts if not self.unknown_characters(text))
        return [tokens[0] for tokens in encoded if len(tokens) == 1]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of the tokens; bytes that are no character come as U+FFFD."""
        return b"".join(map(self._bytes, tokens)).decode(errors="replace")

    def decode_stream(self, tokens: Iterable[int]) -> Iterator[str]:
        """Yield the text of tokens while they come; a character waits until it is whole."""
        decoder = getincrementaldecoder("utf-8")("replace")
        for token in tokens:
            if text := decoder.decode(self._bytes(token)):
                yield text
        if rest := decoder.decode(b"", final=True):
            yield rest

    def _bytes(self, token: int) -> bytes:
        try:
            return self._bytes_of[token]
        except KeyError:
            raise TokenizerError(f"token {token} is not in the vocabulary") from None

    def _words(self, text: str) -> list[Sequence[int]]:
        """Return the tokens of each word of a text."""
        words = WORDS.findall(text)
        if len(self._known) > MOST_KNOWN:
            self._known = {}  # another thread may still look into the old one
        known = self._known
        tokens = []
        for word in words:
            found = known.get(word)
            if found is None:
                found = self._encode_word(word)
                if len(word) <= LONGEST_KNOWN:
                    known[word] = found
            tokens.append(found)
        return tokens

    def _encode_word(self, word: str) -> Sequence[int]:
        if half := self.unknown_characters(word):
            raise _half_error(half)
        try:
            if len(word) <= LONGEST_KNOWN:
                return tuple(self._library.encode(word, add_special_tokens=False).ids)
            # The time grows with the square of the word; only a batch lets other threads run.
            return tuple(self._library.encode_batch_fast([word], add_special_tokens=False)[0].ids)
        except BaseException as error:
            _refuse(error)


def _learn(texts: Collection[str], n_pieces: int) -> bytes:
    """Return the tokenizer.json of what is most often side by side in the texts."""
    library = _new_library()
    from tokenizers.trainers import BpeTrainer

    n_most = N_BYTES + sum(len(text.encode()) for text in texts)  # each new piece joins two others
    trainer = BpeTrainer(
        vocab_size=min(n_pieces, n_most),  # it makes room for as many, whether they come or not
        min_frequency=MIN_FREQUENCY,
        initial_alphabet=sorted(_byte_of()),
        show_progress=False,
    )
    library.train_from_iterator(chain.from_iterable(map(_parts, texts)), trainer)
    return library.to_str(pretty=True).encode()


def _parts(text: str) -> Iterator[str]:
    """Yield a text in parts that can be learnt from."""
    start = 0
    while start < len(text):
        place = BETWEEN_WORDS.search(text, start + LEARNT_TOGETHER, start + 2 * LEARNT_TOGETHER)
        end = place.start() if place else start + 2 * LEARNT_TOGETHER
        yield text[start:end]
        start = end


def _new_library() -> "Library":
    """Return a tokenizer of the library that has learnt nothing.

    Raises:
        TokenizerError: the library is not installed.
    """
    try:
        from tokenizers import Tokenizer as Library
        from tokenizers import decoders, models, pre_tokenizers
    except ImportError as error:
        raise TokenizerError(
            f"subword tokens need the extra bpe ({error}); pip install 'microgpt-lib[bpe]'"
        ) from error
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    return library


class _Model(BaseModel):
    """What a tokenizer has learnt; its settings are extras."""

    model_config = ConfigDict(strict=True, extra="allow")

    vocab: dict[str, int]
    merges: list[tuple[str, str]]


class _File(BaseModel):
    """The content of a tokenizer.json; all settings are extras."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: _Model

    @property
    def settings(self) -> dict[str, Any]:
        """What a tokenizer is, but for what it has learnt."""
        of_model = self.model.model_extra or {}
        return {**(self.model_extra or {}), **{f"model.{key}": of_model[key] for key in of_model}}


def _parsed(file: bytes) -> tuple["Library", list[bytes]]:
    """Return the tokenizer that a tokenizer.json describes, and the bytes of each token.

    The library panics on some files, and allocates memory for the largest token id. So it never
    sees the file, only the vocabulary and the merges, once they are checked.

    Raises:
        TokenizerError: the file is damaged, or not as ours are.
    """
    library = _new_library()
    from tokenizers.models import BPE

    try:
        found, expected = (_File.model_validate_json(text) for text in (file, library.to_str()))
    except ValidationError as error:
        raise TokenizerError(f"it is no tokenizer: {first_problem(error)}") from error
    settings, ours = found.settings, expected.settings
    if wrong := [key for key in ours | settings if settings.get(key) != ours.get(key)]:
        value = json.dumps(settings.get(wrong[0]))
        raise TokenizerError(
            f"it is not one of microgpt: {printable(wrong[0], 40)} is {printable(value, 80)}"
        )
    pieces = _pieces(found.model.vocab)
    try:
        library.model = BPE(vocab=found.model.vocab, merges=found.model.merges)
    except BaseException as error:
        _refuse(error)
    return library, pieces


def _refuse(error: BaseException) -> NoReturn:
    """Raise a TokenizerError for what the library raised, also for a panic.

    A panic is not an Exception, and its class cannot be imported.
    """
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        raise TokenizerError(f"the tokenizer is damaged: {printable(str(error))}") from error
    raise error


def _pieces(vocabulary: dict[str, int]) -> list[bytes]:
    """Return the bytes of each token of a vocabulary; TokenizerError if one is missing."""
    byte_of = _byte_of()
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    if [vocabulary[piece] for piece in pieces] != list(range(len(pieces))):
        raise TokenizerError("its tokens are not numbered from 0 on")
    if not byte_of.keys() <= vocabulary.keys() or not byte_of.keys() >= {*"".join(pieces)}:
        raise TokenizerError("its tokens are not made of the 256 bytes")
    return [bytes(byte_of[char] for char in piece) for piece in pieces]


def _byte_of() -> dict[str, int]:
    """Return the byte that each character of a piece stands for.

    The library shows a byte that can be printed as the character with its number, and the others,
    in their order, as those from U+0100 on.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    chars = sorted(ByteLevel.alphabet())
    printed = [ord(char) for char in chars if ord(char) < N_BYTES]
    others = sorted({*range(N_BYTES)} - {*printed})
    return dict(zip(chars, [*printed, *others], strict=True))


def _halves(text: str) -> str:
    """Return the lone surrogates of a text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(char for char in text if "\ud800" <= char <= "\udfff")
    return ""


def _half_error(halves: str) -> TokenizerError:
    unknown = ", ".join(map(repr, dict.fromkeys(halves)))
    return TokenizerError(f"{unknown} is half a character; the text was not read as UTF-8")
