"""Truncate a conversation to the model's context by dropping the oldest turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from microgpt.data.tokenizer import Message, Tokenizer
from microgpt.errors import PromptError


@dataclass(frozen=True)
class ChatPrompt:
    """The tokens of a conversation, truncated to the context."""

    tokens: Sequence[int]  # [BOS, turns…, assistant]
    messages: Sequence[Message]  # of these turns, as the model reads them
    tokens_dropped: int  # number of tokens in the dropped turns
    unknown_characters: str  # distinct unknown characters, removed from the prompt
    n_replies: int  # number of assistant turns, including dropped ones
    fixed_reply: Sequence[int] | None = None  # if the model does not know the question


def fit_conversation(
    messages: Sequence[Message], tokenizer: Tokenizer, block_size: int
) -> ChatPrompt:
    """Fit a conversation into the context, leaving a quarter of the context for the reply.

    If the conversation is too long, drop the oldest turns, each question together with its reply.
    The last message is never dropped.

    Raises:
        PromptError: there are no messages, or the last message does not fit or has only
            unknown characters.
        TokenizerError: the model is not a chat model.
    """
    if not messages:
        raise PromptError("messages must not be empty")
    table = tokenizer.reading("".join(each.content for each in messages))
    texts = [each.content.translate(table) for each in messages]
    sizes = [tokenizer.count(text) + 2 for text in texts]  # with the role and end_turn tokens
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

    The rest is reserved for BOS, the role token of the reply, and the reply (a quarter).
    """
    return block_size - block_size // 4 - 2
