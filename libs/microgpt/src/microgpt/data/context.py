"""Fit documents into the context: chunks for training and scoring, and chat prompts."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, pairwise

from microgpt.config import TextKind
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import Document, Message, Tokenizer, are_texts, count_all
from microgpt.errors import ConfigError, PromptError

Chunk = tuple[Sequence[int], bytes | None]  # (up to block_size + 1 tokens, loss mask)


@dataclass(frozen=True)
class SlidingWindows:
    """Chunks of a sequence; each token except the first is predicted exactly once.

    The chunks overlap if the stride is less than block_size; tokens that an earlier chunk predicts
    are masked. With a stride of half the context, predictions after the first chunk see at least
    half a context of preceding tokens. Each chunk is computed on access.
    """

    tokens: Sequence[int]  # the whole sequence, of which the first token is not predicted
    block_size: int
    stride: int  # tokens between the starts of consecutive chunks
    first: int | None = None  # token that replaces the first one of each chunk; None keeps it

    def __len__(self) -> int:
        return n_windows(self.n_predictions, self.block_size, self.stride)

    @property
    def n_predictions(self) -> int:
        """The number of predicted tokens."""
        return len(self.tokens) - 1

    def __getitem__(self, i: int) -> Chunk:
        start, n_made = i * self.stride, self.block_size - self.stride if i else 0
        tokens = self.tokens[start : start + self.block_size + 1]
        if self.first is not None:
            tokens = [self.first, *tokens[1:]]
        n_new = len(tokens) - n_made - 1
        return tokens, bytes(n_made + 1) + b"\1" * n_new if n_made else None

    def __iter__(self) -> Iterator[Chunk]:
        return map(self.__getitem__, range(len(self)))


Chunks = SlidingWindows | list[Chunk]  # the chunks of one document


def chunks_of(doc: Document, tokenizer: Tokenizer, block_size: int, text: TextKind) -> Chunks:
    """Return the chunks of a document for scoring, and for training unless it is running text.

    Raise TokenizerError if the document contains an unknown character.
    """
    if text == "stream":
        return cut_stream(doc, tokenizer, block_size, default_stride(block_size))
    tokens, mask = tokenizer.encode_document(doc), tokenizer.mask(doc)
    if len(tokens) <= block_size + 1:
        return [(tokens, mask)]
    if mask is None:
        return SlidingWindows(tokens, block_size, default_stride(block_size))
    return conversation_windows(tokens, block_size, mask, tokenizer.role_id("user"))


def cut_stream(doc: Document, tokenizer: Tokenizer, block_size: int, stride: int) -> SlidingWindows:
    """Return the chunks of running text; raise ConfigError for a conversation."""
    if not isinstance(doc, str):
        raise ConfigError('conversations cannot be read as running text; use text="lines"')
    tokens = array("i", tokenizer.encode_document(doc)[:-1])  # without the end token
    return SlidingWindows(tokens, block_size, stride, tokenizer.bos_id)


def default_stride(block_size: int) -> int:
    """Return the default stride: half the context, but at least 1."""
    return max(1, block_size // 2)


def n_windows(n_predictions: int, block_size: int, stride: int) -> int:
    """Return the number of chunks needed to predict n_predictions tokens."""
    if not n_predictions:
        return 0
    return 1 + max(0, -((block_size - n_predictions) // stride))


def conversation_windows(
    tokens: Sequence[int], block_size: int, mask: bytes, user_id: int
) -> list[Chunk]:
    """Return the training chunks of a conversation, in the format of a chat prompt.

    A chunk is [BOS, turns…]. Its first turn is the first user turn within half a context before the
    tokens to predict or, if there is none, the question that these tokens answer. If the question
    and the reply exceed `room_for_turns`, the rest of the reply is chunked as in `SlidingWindows`.
    Each unmasked token is predicted in exactly one chunk.
    """
    starts = [i for i, token in enumerate(tokens) if token == user_id]
    chunks: list[Chunk] = []
    end = 1  # end of the tokens covered so far
    while (new := mask.find(1, end)) >= 0:
        question = bisect_right(starts, new) - 1
        begin = starts[min(question, bisect_left(starts, new - block_size // 2))]
        head = [tokens[0]]
        if new - begin > room_for_turns(block_size):
            begin, head = max(0, new - 1 - (block_size - default_stride(block_size))), []
        end = mask.rfind(1, new, begin + block_size + 1 - len(head)) + 1
        chunk = [*head, *tokens[begin:end]]
        chunks.append((chunk, bytes(len(chunk) - (end - new)) + mask[new:end]))
    return chunks


@dataclass(frozen=True)
class ChunkedDataset:
    """The training chunks of documents, in document order.

    A document that fits into the context is one chunk. Tokens are counted and documents encoded
    on demand; counts and the tokens of running text are cached.
    """

    docs: Sequence[Document]
    tokenizer: Tokenizer
    block_size: int
    text: TextKind

    def __len__(self) -> int:
        return self._firsts[-1] if self._firsts else len(self.docs)

    def encode(self, order: Iterable[int]) -> TokenDataset:
        """Return the encoded chunks with the indices `order`, in this order."""
        dataset, firsts = TokenDataset(), self._firsts
        long: dict[int, Chunks] = {}  # the chunks of long documents, by the index of the document
        for place in order:
            i = bisect_right(firsts, place) - 1 if firsts else place
            chunks = long.get(i) or self._chunks(i)
            if len(chunks) > 1:
                long[i] = chunks
            dataset.append(*chunks[place - firsts[i] if firsts else 0])
        return dataset

    @cached_property
    def lengths(self) -> Sequence[int]:
        """The number of predicted tokens of each document."""
        is_char = self.tokenizer.kind == "char" and not self.tokenizer.folds
        if is_char and are_texts(self.docs):
            # A shortcut: otherwise, counting tokens takes 5 of the 7 ms of Karpathy's training run.
            n_ends = 1 if self.text == "lines" else 0
            return array("q", [len(doc) + n_ends for doc in self.docs])
        if self.text == "stream":
            return array("q", [windows.n_predictions for windows in self._windows])
        return array("q", (count_all(doc, self.text, self.tokenizer.count) for doc in self.docs))

    @cached_property
    def n_long(self) -> int:
        """The number of documents longer than the context."""
        return sum(1 for n in self.lengths if n > self.block_size)

    @cached_property
    def n_tokens(self) -> int:
        """The number of predicted tokens in all chunks, including masked tokens."""
        n, n_repeated = sum(self.lengths), self.block_size - self._stride
        # `_firsts` is empty if each document is one chunk.
        for i, (first, end) in enumerate(pairwise(self._firsts)):
            if isinstance(self.docs[i], str):
                n += max(0, end - first - 1) * n_repeated
            elif self.lengths[i] > self.block_size:
                n += sum(len(tokens) - 1 for tokens, _ in self._chunks(i)) - self.lengths[i]
        return n

    @property
    def _stride(self) -> int:
        """The number of tokens between the starts of consecutive chunks of a text."""
        return self.block_size if self.text == "stream" else default_stride(self.block_size)

    def _chunks(self, i: int) -> Chunks:
        if self.text == "stream":
            return self._windows[i]
        return chunks_of(self.docs[i], self.tokenizer, self.block_size, self.text)

    @cached_property
    def _firsts(self) -> Sequence[int]:
        """First chunk index of each document, then the total; () if each document is one chunk."""
        if self.text == "lines" and not self.n_long:
            return ()
        size, stride = self.block_size, self._stride
        counts = (
            n_windows(length, size, stride)
            if isinstance(doc, str) or length <= size
            else len(self._chunks(i))
            for i, (doc, length) in enumerate(zip(self.docs, self.lengths, strict=True))
        )
        return array("q", accumulate(counts, initial=0))

    @cached_property
    def _windows(self) -> Sequence[SlidingWindows]:
        """The windows of each document of running text."""
        size = self.block_size
        return [cut_stream(doc, self.tokenizer, size, size) for doc in self.docs]


@dataclass(frozen=True)
class ChatPrompt:
    """The tokens of a conversation, truncated to the context."""

    tokens: Sequence[int]  # [BOS, turns…, assistant]
    messages: Sequence[Message]  # the turns that are not dropped, without unknown characters
    tokens_dropped: int  # number of tokens in the dropped turns
    unknown_characters: str  # distinct unknown characters, removed from the prompt
    n_replies: int  # number of assistant turns, including dropped ones
    fixed_reply: Sequence[int] | None = None  # a plug-in's reply, instead of the model's


def fit_conversation(
    messages: Sequence[Message], tokenizer: Tokenizer, block_size: int
) -> ChatPrompt:
    """Fit a conversation into the context, leaving a quarter of the context for the reply.

    If the conversation is too long, drop the oldest turns, each question together with its reply.
    Raise PromptError if the last message alone is too long.
    """
    if not messages:
        raise PromptError("messages must not be empty")
    table = tokenizer.reading("".join(each.content for each in messages))
    texts = [each.content.translate(table) for each in messages]
    sizes = [tokenizer.count(text) + 2 for text in texts]  # including the role and end_turn tokens
    room = room_for_turns(block_size)
    if sizes[-1] > room:
        n, most = sizes[-1] - 2, max(0, room - 2)
        raise PromptError(
            f"the message has {n} {tokenizer.unit}; at most {most} fit into the context of "
            f"{block_size} tokens (the rest is for special tokens and the reply)"
        )
    n_kept = n_tokens = 0
    for size in reversed(sizes):
        if n_tokens + size > room:
            break
        n_kept, n_tokens = n_kept + 1, n_tokens + size
    while 1 < n_kept < len(sizes) and messages[-n_kept].role == "assistant":
        n_kept -= 1
    kept = [
        Message(one.role, text)
        for one, text in zip(messages[-n_kept:], texts[-n_kept:], strict=True)
    ]
    turns = [tokenizer.encode_turn(message) for message in kept]
    if messages[-1].content.strip() and not tokenizer.decode(turns[-1]).strip():
        raise PromptError("no character of the message is in the vocabulary; use other characters")
    return ChatPrompt(
        tokens=[tokenizer.bos_id, *chain.from_iterable(turns), tokenizer.role_id("assistant")],
        messages=kept,
        tokens_dropped=sum(sizes[:-n_kept]),
        unknown_characters="".join(chr(code) for code, other in table.items() if other is None),
        n_replies=sum(message.role == "assistant" for message in messages),
    )


def room_for_turns(block_size: int) -> int:
    """Return the number of tokens available for the turns before a reply.

    The rest of the context is for BOS, the role token of the reply, and the reply (a quarter).
    """
    return block_size - block_size // 4 - 2
