"""A conversation, fitted into the context of a model: to be answered, or in pieces to be learnt."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from microgpt.data.sliding_windows import Chunk, half
from microgpt.data.tokenizer import Message, Tokenizer
from microgpt.errors import PromptError


@dataclass(frozen=True)
class ChatPrompt:
    """A conversation as the model reads it."""

    tokens: Sequence[int]  # [BOS, turns…, assistant]
    tokens_dropped: int  # the tokens of old turns that had no room
    unknown_characters: str  # what the model cannot read and was left out, each character once
    n_replies: int  # the assistant's turns so far, those dropped included


def fit_conversation(
    messages: Iterable[Message], tokenizer: Tokenizer, block_size: int
) -> ChatPrompt:
    """Fit a conversation into the context, with a quarter of it left for the reply.

    Where it is too long, the oldest turns go, whole, and a reply goes with its question; the last
    message always stays.

    Raises:
        PromptError: there are no messages, or the last one does not fit.
        TokenizerError: the model has no chat tokens.
    """
    messages = list(messages)
    if not messages:
        raise PromptError("messages must not be empty")
    unknown = tokenizer.unknown_characters("".join(message.content for message in messages))
    leave_out = str.maketrans("", "", unknown)
    turns = [
        tokenizer.encode_turn(Message(message.role, message.content.translate(leave_out)))
        for message in messages
    ]
    room = _room(block_size)
    if len(turns[-1]) > room:
        n, most = len(turns[-1]) - 2, max(0, room - 2)  # a turn is two tokens longer than its text
        raise PromptError(
            f"the message has {n} {tokenizer.unit}; at most {most} fit into the context of "
            f"{block_size} tokens"
        )
    n_kept = n_tokens = 0
    for turn in reversed(turns):
        if n_tokens + len(turn) > room:
            break
        n_kept, n_tokens = n_kept + 1, n_tokens + len(turn)
    while 1 < n_kept < len(turns) and messages[-n_kept].role == "assistant":
        n_kept -= 1
    kept = list(chain.from_iterable(turns[-n_kept:]))
    return ChatPrompt(
        tokens=[tokenizer.bos_id, *kept, tokenizer.role_id("assistant")],
        tokens_dropped=sum(map(len, turns)) - len(kept),
        unknown_characters=unknown,
        n_replies=sum(message.role == "assistant" for message in messages),
    )


def turn_windows(
    tokens: Sequence[int], block_size: int, mask: bytes | None, roles: Sequence[int]
) -> list[Chunk]:
    """Return the pieces in which a conversation is learnt, each as the model will read it in use.

    A piece is [BOS, turns…], the first turn the user's: the turns before those to learn as far as
    half a context holds them, or three quarters where that is the question alone; then those to
    learn, as many as fit. What is left of a turn that is longer comes in pieces of its own, and so
    does a reply whose question is too long to be asked: they advance as `SlidingWindows` do.

    Args:
        tokens: [BOS, turns…, BOS].
        mask: of the tokens, see `TokenDataset`.
        roles: the tokens that open a turn, the user's first.

    Returns:
        Those in which something counts. Each token that does counts in one of them.
    """
    counts = mask or b"\1" * len(tokens)
    starts = [i for i, token in enumerate(tokens) if token in roles]
    ends = [*starts[1:], len(tokens)]
    pieces: list[Chunk] = []
    end = 1  # of what has been learnt
    while (new := counts.find(1, end)) >= 0:
        turn = bisect_right(starts, new) - 1
        begin = _first_turn(tokens, block_size, turn, starts, ends, roles[0])
        if begin is not None and end <= starts[turn] and new < begin + block_size:
            last = bisect_right(ends, begin + block_size) - 1  # turn that fits
            end = ends[last] if last >= turn else begin + block_size
            head = [tokens[0]]
        else:
            begin = max(0, new - 1 - (block_size - half(block_size)))
            end = min(begin + block_size + 1, ends[turn])
            head = []
        end = counts.rfind(1, new, end) + 1
        piece = [*head, *tokens[begin:end]]
        pieces.append((piece, bytes(len(piece) - (end - new)) + counts[new:end]))
    return pieces


def _first_turn(
    tokens: Sequence[int],
    block_size: int,
    turn: int,
    starts: Sequence[int],
    ends: Sequence[int],
    user: int,
) -> int | None:
    """Return where to begin in order to learn a turn; None if its question does not fit."""
    near = bisect_left(starts, starts[turn] - block_size // 2)
    for begin in starts[near : turn + 1]:
        if tokens[begin] == user and ends[turn] - begin <= block_size:
            return begin
    question = next((starts[i] for i in range(turn, -1, -1) if tokens[starts[i]] == user), None)
    is_room = question is not None and starts[turn] - question <= _room(block_size)
    return question if is_room else None


def _room(block_size: int) -> int:
    """Return how many tokens of turns fit before a reply: a quarter of the context is left for it.

    BOS comes before them, and the role of the reply after them.
    """
    return block_size - block_size // 4 - 2
