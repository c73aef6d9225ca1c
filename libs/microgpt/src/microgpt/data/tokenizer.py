"""Tokenizer base class and character tokenizer; the table shows the token IDs of n pieces.

    pieces                   0 … n−1: sorted characters, or pieces learned by `bpe`
    special tokens (text)    BOS = n
    special tokens (chat)    user = n, assistant = n+1, end_turn = n+2, BOS = n+3

A text is [BOS, pieces…, BOS], a turn is [role, pieces…, end_turn], and a conversation is [BOS,
turns…, BOS]. Text never encodes to special tokens: "<|user|>" is just eight characters.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeGuard, TypeVar, cast, get_args

from microgpt.config import TextKind
from microgpt.errors import DataError, TokenizerError

Role = Literal["user", "assistant"]
ROLES: tuple[Role, ...] = get_args(Role)
IGNORED_ROLES = ("system", "developer")  # roles without a token; their messages are omitted
SPECIAL_TOKENS = (*ROLES, "end_turn")  # names of the chat tokens in meta.json
TokenizerKind = Literal["char", "bpe"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


Conversation = tuple[Message, ...]
Document = str | Sequence[Message]
AnyMessage = Message | Mapping[str, str]
AnyDocument = str | Iterable[AnyMessage]  # `as_documents` converts it to a Document
Documents = Sequence[Document] | str  # a string is running text
Count = TypeVar("Count", int, float)


def as_documents(docs: Iterable[AnyDocument]) -> tuple[Document, ...]:
    """Return documents as a tuple of texts and conversations, which cannot be modified in place.

    Raises:
        DataError: a document is neither a text nor a conversation, or docs is not a list.
    """
    # Some iterables are refused: the lines of an open file contain line endings, a data frame
    # yields its column names, and the order of a set differs between processes.
    is_other = isinstance(docs, str | Mapping | Set) or hasattr(docs, "read")
    is_other = is_other or hasattr(docs, "columns") or getattr(docs, "shape", None) == ()
    if is_other or not hasattr(docs, "__iter__"):
        what = "a list of texts, such as load_text(path), or of conversations"
        raise DataError(f"docs must be {what}, not {type(docs).__name__}")
    return tuple(
        doc if isinstance(doc, str) else as_conversation(f"docs[{i}]", doc)
        for i, doc in enumerate(docs)
    )


def as_conversation(name: str, turns: Iterable[AnyMessage]) -> Conversation:
    """Return a conversation of messages, or of dicts such as {"role": "user", "content": "hi"}.

    Raise DataError if `turns` is not a list or a message is invalid; the error contains `name`.
    """
    if not isinstance(turns, Iterable) or isinstance(turns, str | bytes | Mapping | Set):
        what = "a text or a list of messages"
        raise DataError(f"{name} must be {what}, not {type(turns).__name__}")
    messages = []
    for i, turn in enumerate(turns):
        message = turn
        if isinstance(turn, Mapping) and isinstance(turn.get("content"), str):
            message = Message(cast("Role", str(turn.get("role"))), turn["content"])
        if not isinstance(message, Message) or message.role not in ROLES:
            what = 'a Message or {"role": "user" or "assistant", "content": "…"}'
            raise DataError(f"{name}[{i}] must be {what}, got {turn!r:.80}")
        messages.append(message)
    return tuple(messages)


def are_texts(docs: Iterable[object]) -> TypeGuard[Sequence[str]]:
    """Return whether all documents are texts, not conversations."""
    return all(issubclass(kind, str) for kind in {*map(type, docs)})  # tests each type only once


def texts_of(doc: Document) -> Iterable[str]:
    """Return the texts of a document: the text itself, or the messages of a conversation."""
    return (doc,) if isinstance(doc, str) else (message.content for message in doc)


def all_texts(docs: Sequence[Document]) -> Sequence[str]:
    """Return the texts of all documents."""
    return docs if are_texts(docs) else [text for doc in docs for text in texts_of(doc)]


def count_characters(doc: Document) -> int:
    """Return the number of characters of a text or of the messages of a conversation."""
    return sum(map(len, texts_of(doc)))


def count_all(doc: Document, text: TextKind, count: Callable[[str], Count]) -> Count:
    """Return the number of predicted tokens of a document, including masked tokens.

    The end token of a text is predicted, except in running text. `count` counts or estimates the
    tokens of a text.
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
    """Base class of tokenizers, whose vocabulary consists of text pieces and special tokens."""

    kind: ClassVar[TokenizerKind]  # value of `tokenizer` in meta.json
    unit: ClassVar[str]  # plural noun for the tokens in error messages
    has_file: ClassVar[bool] = False  # whether the vocabulary is in tokenizer.json
    folds: ClassVar[bool] = False  # whether case and accents are folded; see `folding`
    chars: tuple[str, ...] | None = None  # the vocabulary of a character tokenizer
    file: bytes | None = None  # the content of tokenizer.json of a subword tokenizer

    def __init__(self, piece_names: Sequence[str | bytes], *, is_chat: bool) -> None:
        self.piece_names = piece_names  # the text or bytes of each piece, by token ID
        self.is_chat = is_chat  # whether the vocabulary has chat tokens
        special = (*SPECIAL_TOKENS, "bos") if is_chat else ("bos",)
        self.names = (*piece_names, *special)  # a unique name for each token, by token ID
        self.vocab_size = len(self.names)  # number of tokens, including special tokens
        self.special_ids = range(len(piece_names), self.vocab_size)
        self.bos_id = self.special_ids[-1]  # first and last token of a document

    @abstractmethod
    def unknown_characters(self, text: str) -> str:
        """Return the distinct characters of the text that have no token, in order of appearance."""

    def reading(self, text: str) -> dict[int, str | None]:
        """Return a table for `str.translate` that replaces or removes unknown characters.

        Unknown white space becomes a space if the vocabulary contains the space, so that words stay
        separate; other unknown characters are removed (None).
        """
        space = None if self.unknown_characters(" ") else " "
        unknown = self.unknown_characters(text)
        return {ord(char): space if char.isspace() else None for char in unknown}

    @abstractmethod
    def extended(self, docs: Iterable[Document], *, is_chat: bool) -> "Tokenizer":
        """Return a tokenizer whose vocabulary also contains the characters of the documents."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text; raise TokenizerError listing all unknown characters."""

    @abstractmethod
    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""

    @abstractmethod
    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of the non-special tokens; raise TokenizerError if a token is unknown."""

    def decode_stream(self, tokens: Iterable[int]) -> Iterator[str]:
        """Decode tokens as they arrive, yielding only complete characters."""
        return (self.decode([token]) for token in tokens)  # for tokens that are whole characters

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
        """Return the loss mask of a document: 1 for tokens that count towards the loss, else 0.

        The result is None for a text, because all of its tokens count. In a conversation, the
        assistant's text and end_turn tokens count; the model does not have to generate role tokens.
        """
        if isinstance(doc, str):
            return None
        turns = (
            bytes(1)
            + (b"\1" if message.role == "assistant" else b"\0") * (self.count(message.content) + 1)
            for message in doc
        )
        return b"\0" + b"".join(turns) + b"\0"

    def _chat_id(self, name: str) -> int:
        if not self.is_chat:
            raise TokenizerError("this is not a chat model; train one with --chat")
        return self.special_ids[SPECIAL_TOKENS.index(name)]


class CharTokenizer(Tokenizer):
    """A tokenizer whose tokens are single characters, without duplicates or lone surrogates."""

    kind = "char"
    unit = "characters"

    def __init__(self, chars: Iterable[str], *, is_chat: bool = False) -> None:
        self.chars: tuple[str, ...] = tuple(chars)  # ordered by token ID
        if not self.chars:
            raise TokenizerError("a vocabulary needs at least one character")
        self._id_of: dict[str, int] = {}
        for i, char in enumerate(self.chars):
            if len(char) != 1:
                raise TokenizerError(f"{char!r:.80} is not a single character")
            if "\ud800" <= char <= "\udfff":  # UTF-8 cannot encode surrogates
                raise TokenizerError(f"{char!r} is a lone surrogate; read the text as UTF-8")
            if self._id_of.setdefault(char, i) != i:
                raise TokenizerError(f"{char!r} is in the vocabulary twice")
        super().__init__(self.chars, is_chat=is_chat)
        self._text_of = dict(enumerate(self.chars)) | dict.fromkeys(self.special_ids, "")

    @classmethod
    def from_documents(cls, docs: Iterable[AnyDocument]) -> "CharTokenizer":
        """Build a tokenizer from all characters in texts or conversations."""
        docs = as_documents(docs)
        return cls(sorted(set("".join(all_texts(docs)))), is_chat=not are_texts(docs))

    def extended(self, docs: Iterable[Document], *, is_chat: bool) -> "CharTokenizer":
        """Return a tokenizer whose vocabulary also contains the characters of the documents."""
        return type(self)(sorted({*self.chars, *self.from_documents(docs).chars}), is_chat=is_chat)

    def unknown_characters(self, text: str) -> str:
        """Return the distinct characters of the text that have no token, in order of appearance."""
        # A generator, unlike a set operation, lets other threads run; untrusted text can be long.
        read = self._as_read(text)
        return "".join(dict.fromkeys(char for char in read if char not in self._id_of))

    def encode(self, text: str) -> list[int]:
        """Return one token per character; raise TokenizerError if a character is unknown."""
        try:
            return [self._id_of[char] for char in self._as_read(text)]
        except KeyError:
            unknown = ", ".join(map(repr, self.unknown_characters(text)))
            raise TokenizerError(
                f"the vocabulary does not contain {unknown}; use only {''.join(self.chars)!r}"
            ) from None

    def count(self, text: str) -> int:
        """Return the number of characters, which is the number of tokens."""
        return len(self._as_read(text))

    def _as_read(self, text: str) -> str:
        """Return the text to look up in the vocabulary; `FoldingTokenizer` folds it."""
        return text

    def decode(self, tokens: Iterable[int]) -> str:
        """Decode tokens to characters; raise TokenizerError if a token is unknown."""
        try:
            return "".join([self._text_of[token] for token in tokens])
        except KeyError as error:
            raise TokenizerError(f"token {error} is not in the vocabulary") from None
