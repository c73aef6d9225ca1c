"""Tokenizer base class and character tokenizer.

    pieces                   0 … n−1: sorted characters, or pieces learned by `bpe`
    special tokens (text)    BOS = n
    special tokens (chat)    user = n, assistant = n+1, end_turn = n+2, BOS = n+3

A text is [BOS, pieces…, BOS], a turn is [role, pieces…, end_turn], and a conversation is [BOS,
turns…, BOS]. Text never encodes to special tokens: "<|user|>" is just eight characters.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, cast, get_args

from microgpt.config import TextKind, check_type
from microgpt.errors import DataError, TokenizerError

Role = Literal["user", "assistant"]
ROLES: tuple[Role, ...] = get_args(Role)
IGNORED_ROLES = ("system", "developer")  # the models have no tokens for these roles
SPECIAL_TOKENS = (*ROLES, "end_turn")  # names of the chat tokens in meta.json
TokenizerKind = Literal["char", "bpe"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str

    def __post_init__(self) -> None:
        check_type("role", self.role, str)
        check_type("content", self.content, str)


Conversation = tuple[Message, ...]
Document = str | Sequence[Message]
AnyMessage = Message | Mapping[str, str]
AnyDocument = str | Iterable[AnyMessage]  # what `as_document` makes a document
Documents = Sequence[Document] | str  # a string is running text


def as_documents(docs: Iterable[AnyDocument]) -> Sequence[Document]:
    """Return documents as a sequence of texts, and of conversations as tuples.

    Raises:
        DataError: a document is neither a text nor a conversation, or docs has no documents or no
            fixed order, like an open file, a table or a set.
    """
    if isinstance(docs, str) or hasattr(docs, "read"):  # the lines of a file have their ends
        what = "a string" if isinstance(docs, str) else "a file"
        raise DataError(f"docs is {what}; pass a list of texts, such as load_text(path)")
    try:
        found = iter(docs)
    except TypeError:
        found = None
    # A data frame yields the names of its columns. The order of a set differs between processes.
    if not found or isinstance(docs, Mapping | set | frozenset) or hasattr(docs, "columns"):
        raise DataError(f"docs must be a list of texts or conversations, not {type(docs).__name__}")
    docs = docs if isinstance(docs, list | tuple) else list(found)
    if set(map(type, docs)) != {str}:  # a loop would take a tenth of a short training
        return [as_document(f"docs[{i}]", doc) for i, doc in enumerate(docs)]
    return cast("Sequence[str]", docs)


def as_document(name: str, doc: AnyDocument) -> Document:
    """Return a text unchanged, and a conversation as `as_conversation` does."""
    return doc if isinstance(doc, str) else as_conversation(name, doc)


def as_conversation(name: str, turns: Iterable[AnyMessage]) -> Conversation:
    """Return a conversation of messages, or of dicts such as {"role": "user", "content": "hi"}.

    Raises:
        DataError: it is no list, or a message is neither; the error contains the name.
    """
    is_list = isinstance(turns, list | tuple) or (
        isinstance(turns, Iterable) and not isinstance(turns, str | bytes | Mapping | Set)
    )
    if not is_list:
        what = "a text or a list of messages"
        raise DataError(f"{name} must be {what}, not {type(turns).__name__}")
    turns = tuple(turns)
    messages = tuple(map(_as_message, turns))
    if None in messages:
        i = messages.index(None)
        what = 'a Message or {"role": "user" or "assistant", "content": "…"}'
        raise DataError(f"{name}[{i}] must be {what}, got {turns[i]!r:.80}")
    return cast("Conversation", messages)


def _as_message(turn: object) -> Message | None:
    if not isinstance(turn, Message):
        if not isinstance(turn, Mapping) or not isinstance(turn.get("content"), str):
            return None
        turn = Message(cast("Role", str(turn.get("role"))), turn["content"])
    return turn if turn.role in ROLES else None


def hashable(docs: Sequence[Document]) -> Sequence[Document]:
    """Return documents in a hashable form: conversations that are lists become tuples."""
    if any(issubclass(kind, MutableSequence) for kind in set(map(type, docs))):
        return [as_document(f"docs[{i}]", doc) for i, doc in enumerate(docs)]
    return docs


def joined(docs: Iterable[Document], separator: str) -> str | None:
    """Join all documents into one text; return None if any document is a conversation."""
    try:
        return separator.join(cast("Iterable[str]", docs))
    except TypeError:
        return None


def texts_of(doc: Document) -> Iterable[str]:
    """Return the texts of a document: the text itself, or the messages of a conversation."""
    return (doc,) if isinstance(doc, str) else (message.content for message in doc)


def all_texts(docs: Iterable[Document]) -> list[str]:
    """Return the texts of all documents."""
    return [text for doc in docs for text in texts_of(doc)]


def count_characters(doc: Document) -> int:
    """Return the number of characters of a text or of the messages of a conversation."""
    return sum(map(len, texts_of(doc)))


def count_all(doc: Document, text: TextKind, count: Callable[[str], int]) -> int:
    """Return the number of predicted tokens of a document, whether or not they count.

    The end token of a text is predicted, except in running text.

    Args:
        count: function that returns the number of tokens of a text.
    """
    if isinstance(doc, str):
        return count(doc) + (text == "lines")
    return 1 + sum(count(message.content) + 2 for message in doc)


def count_predictions(doc: Document, text: TextKind, count: Callable[[str], int]) -> int:
    """Return the number of predicted tokens of a document that count towards the loss.

    In a conversation, only assistant texts and their end_turn tokens count.
    """
    if isinstance(doc, str):
        return count_all(doc, text, count)
    return sum(count(message.content) + 1 for message in doc if message.role == "assistant")


class Tokenizer(ABC):
    """A tokenizer whose vocabulary consists of text pieces and special tokens."""

    kind: ClassVar[TokenizerKind]  # value of `tokenizer` in meta.json
    unit: ClassVar[str]  # plural noun for the tokens in error messages
    has_file: ClassVar[bool] = False  # whether the vocabulary is in tokenizer.json
    folds: ClassVar[bool] = False  # whether case and accents are folded; see `folding`
    chars: tuple[str, ...] | None = None  # the vocabulary of a character tokenizer
    file: bytes | None = None  # the content of tokenizer.json of a subword tokenizer

    def __init__(self, piece_names: Sequence[str | bytes], *, is_chat: bool) -> None:
        n_pieces = len(piece_names)
        self.piece_names = piece_names  # the text or bytes of each piece, in token order
        self.is_chat = is_chat  # whether the vocabulary has chat tokens
        self.special_ids = range(n_pieces, n_pieces + n_special(is_chat=is_chat))
        self.bos_id = self.special_ids[-1]  # first and last token of a document

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.vocab_size} tokens)"

    @abstractmethod
    def unknown_characters(self, text: str) -> str:
        """Return the distinct characters of the text that have no token, in order of appearance."""

    def reading(self, text: str) -> dict[int, str | None]:
        """Return the character that a model reads instead of each unknown character of a text.

        The result is a table for `str.translate`. Unknown white space becomes a space if the model
        knows the space, so that words stay separate; other unknown characters are left out (None).
        """
        space = None if self.unknown_characters(" ") else " "
        unknown = self.unknown_characters(text)
        return {ord(char): space if char.isspace() else None for char in unknown}

    def left_out(self, text: str) -> str:
        """Return the distinct characters that `reading` leaves out, in order of appearance."""
        return "".join(chr(code) for code, other in self.reading(text).items() if other is None)

    @abstractmethod
    def extended(self, docs: Iterable[Document], *, is_chat: bool) -> "Tokenizer":
        """Return a tokenizer that also knows the characters of the documents."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text; raise TokenizerError listing all unknown characters."""

    @abstractmethod
    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""

    def n_parts(self, char: str) -> int:
        """Return how many characters or bytes of `piece_names` encode a known character."""
        return self.count(char)

    @abstractmethod
    def tokens_of(self, texts: Iterable[str]) -> list[int]:
        """Return the token of each text that encodes to a single token."""

    @abstractmethod
    def decode(self, tokens: Iterable[int]) -> str:
        """Decode tokens to text, omitting special tokens.

        Raises:
            TokenizerError: a token is not in the vocabulary.
        """

    def decode_stream(self, tokens: Iterable[int]) -> Iterator[str]:
        """Decode tokens as they arrive, yielding only complete characters."""
        return (self.decode([token]) for token in tokens)  # each token is a character or more

    @cached_property
    def names(self) -> tuple[str | bytes, ...]:
        """The name of each token in token order; all names are distinct."""
        return (*self.piece_names, *(SPECIAL_TOKENS if self.is_chat else ()), "bos")

    def label(self, token: int) -> str:
        r"""Return the text of a token, or a name like "<|user|>" or "bytes:\xf0" if it has none."""
        name = self.names[token]
        if token in self.special_ids:
            return f"<|{name}|>"  # type: ignore[str-bytes-safe]
        if isinstance(name, str):
            return name
        try:
            return name.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in name)

    @property
    def vocab_size(self) -> int:
        """The number of tokens, including special tokens."""
        return self.bos_id + 1

    @property
    def end_turn_id(self) -> int:
        """The token that ends a turn."""
        return self._chat_id("end_turn")

    def role_id(self, role: str) -> int:
        """Return the token that starts a turn of the role "user" or "assistant"."""
        if role not in ROLES:
            raise TokenizerError(f'unknown role "{role}" (expected "user" or "assistant")')
        return self._chat_id(role)

    def encode_turn(self, message: Message) -> list[int]:
        """Return the tokens of one turn: [role, pieces…, end_turn]."""
        return [self.role_id(message.role), *self.encode(message.content), self.end_turn_id]

    def encode_document(self, doc: Document) -> list[int]:
        """Return the tokens of a text or conversation, including BOS at both ends."""
        if isinstance(doc, str):
            return [self.bos_id, *self.encode(doc), self.bos_id]
        turns = [token for message in doc for token in self.encode_turn(message)]
        return [self.bos_id, *turns, self.bos_id]

    def mask(self, doc: Document) -> bytes | None:
        """Return the loss mask of a document: 1 for each token that counts, 0 for context.

        The result is None for a text, because all of its tokens count. In a conversation, the
        assistant's text and end_turn tokens count. Role tokens do not count, as the model does not
        have to generate them.
        """
        if isinstance(doc, str):
            return None
        turns = (
            bytes(1)
            + (b"\1" if message.role == "assistant" else b"\0") * (self.count(message.content) + 1)
            for message in doc
        )
        return b"\0" + b"".join(turns) + b"\0"

    def count_tokens(self, doc: Document) -> int:
        """Return the number of tokens of a text or conversation, including BOS at both ends."""
        return 1 + count_all(doc, "lines", self.count)

    def _chat_id(self, name: str) -> int:
        if not self.is_chat:
            raise TokenizerError("this is not a chat model; train one with --chat")
        return self.special_ids[SPECIAL_TOKENS.index(name)]


def n_special(*, is_chat: bool) -> int:
    """Return the number of special tokens of a text or chat tokenizer."""
    return 1 + (len(SPECIAL_TOKENS) if is_chat else 0)


class CharTokenizer(Tokenizer):
    """A tokenizer whose tokens are single characters.

    Raises:
        TokenizerError: chars is empty, or an item is a duplicate, not a single character, or a lone
            surrogate, which UTF-8 cannot encode.
    """

    kind = "char"
    unit = "characters"

    def __init__(self, chars: Iterable[str], *, is_chat: bool = False) -> None:
        self.chars: tuple[str, ...] = tuple(chars)  # in token order
        if not self.chars:
            raise TokenizerError("a vocabulary needs at least one character")
        wrong = [char for char in self.chars if len(char) != 1]
        if wrong:
            raise TokenizerError(f"{wrong[0]!r:.80} is not a single character")
        self._id_of = {char: i for i, char in enumerate(self.chars)}
        surrogate = next((char for char in self.chars if "\ud800" <= char <= "\udfff"), None)
        if surrogate is not None:
            raise TokenizerError(
                f"{surrogate!r} is a lone surrogate, not a character; read the text as UTF-8"
            )
        if len(self._id_of) < len(self.chars):
            twice = next(c for i, c in enumerate(self.chars) if self._id_of[c] != i)
            raise TokenizerError(f"{twice!r} is in the vocabulary twice")
        super().__init__(self.chars, is_chat=is_chat)
        self._text_of = dict(enumerate(self.chars)) | dict.fromkeys(self.special_ids, "")

    @classmethod
    def from_documents(cls, docs: Iterable[AnyDocument]) -> "CharTokenizer":
        """Build a tokenizer from all characters in texts or conversations."""
        docs = as_documents(docs)
        text = joined(docs, "")
        if text is not None:
            return cls(sorted(set(text)))
        chars = sorted(set("".join(all_texts(docs))))
        return cls(chars, is_chat=not all(isinstance(doc, str) for doc in docs))

    def extended(self, docs: Iterable[Document], *, is_chat: bool) -> "CharTokenizer":
        """Return a tokenizer that also knows the characters of the documents."""
        return type(self)(sorted({*self.chars, *self.from_documents(docs).chars}), is_chat=is_chat)

    def unknown_characters(self, text: str) -> str:
        """Return the distinct characters of the text that have no token, in order of appearance."""
        # The generator lets other threads run; untrusted text may have 100,000 unknown characters.
        return "".join(dict.fromkeys(char for char in text if char not in self._id_of))

    def encode(self, text: str) -> list[int]:
        """Return one token per character; raise TokenizerError if a character is unknown."""
        try:
            return [self._id_of[char] for char in text]
        except KeyError:
            raise self._unknown_error(text) from None

    def _unknown_error(self, text: str) -> TokenizerError:
        unknown = ", ".join(map(repr, self.unknown_characters(text)))
        return TokenizerError(
            f"the vocabulary does not contain {unknown}; it contains {''.join(self.chars)!r}"
        )

    def count(self, text: str) -> int:
        """Return the number of characters, which is the number of tokens."""
        return len(text)

    def tokens_of(self, texts: Iterable[str]) -> list[int]:
        """Return the token of each text that is a single character of the vocabulary."""
        return [self._id_of[text] for text in texts if text in self._id_of]

    def decode(self, tokens: Iterable[int]) -> str:
        """Decode tokens to characters; raise TokenizerError if a token is unknown."""
        try:
            return "".join([self._text_of[token] for token in tokens])
        except KeyError as error:
            raise TokenizerError(f"token {error} is not in the vocabulary") from None
