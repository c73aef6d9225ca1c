"""Texts from a model, for ever: one by one or many together, and a choice of them."""

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from microgpt.data.tokenizer import Tokenizer
from microgpt.sampling import TokenStream

if TYPE_CHECKING:
    from microgpt.engine.inference import CompiledModel

FIRST_BATCH, BATCH = 64, 1024  # texts a thread that are asked for together: so few, then so many
HALF_A_CHARACTER = "\N{REPLACEMENT CHARACTER}"  # what its bytes are decoded to
GIVE_UP_AFTER = 1000  # texts in a row that bring nothing new


def one_by_one(
    streams: Iterable[TokenStream], tokenizer: Tokenizer, stop: tuple[str, ...]
) -> Iterator[str]:
    """Yield the text of each stream, which is read no further than to a stop string."""
    for stream in streams:
        text = ""
        for piece in tokenizer.decode_stream(stream):
            text += piece
            if any(string in text for string in stop):
                stream.close()
                break
        yield cut(text, stop)


def together(
    model: "CompiledModel",
    tokens: Sequence[int],
    *,
    n: int | None,
    seed: int,
    threads: int,
    **settings: Any,
) -> Iterator[list[int]]:
    """Yield what follows the tokens for each seed from the first on.

    Args:
        model: of this model.
        tokens: the prompt.
        n: how many; None for no end.
        seed: the first.
        threads: how many to use.
        settings: see `CompiledModel.decode_many`.
    """
    n_made, n_together = 0, FIRST_BATCH * threads
    while n is None or n_made < n:
        n_now = n_together if n is None else min(n_together, n - n_made)
        seeds = range(seed + n_made, seed + n_made + n_now)
        yield from model.decode_many([tokens] * n_now, seeds, threads=threads, **settings)
        n_made += n_now
        n_together = min(2 * n_together, BATCH * threads)


def select(texts: Iterable[str], *, unique: bool, known: Container[str]) -> Iterator[str]:
    """Yield the texts that are new, until too many in a row are not.

    Args:
        texts: such as `InferenceGpt.samples` returns.
        unique: leaves out what has come before.
        known: is left out as well.
    """
    seen: set[str] = set()
    n_in_vain = 0
    for text in texts:
        if text in known or (unique and text in seen):
            n_in_vain += 1
            if n_in_vain == GIVE_UP_AFTER:
                return
            continue
        n_in_vain = 0
        if unique:
            seen.add(text)
        yield text


def cut(text: str, stop: tuple[str, ...]) -> str:
    """Return what comes before the first of the stop strings to be complete."""
    places = [text.find(string) for string in stop]
    ends = [(place + len(stop[i]), place) for i, place in enumerate(places) if place >= 0]
    return text[: min(ends)[1]] if ends else text


def settled(text: str, stop: tuple[str, ...]) -> str:
    """Return the part of a text in the making that stays as it is, whatever comes.

    What is left out may be half a character, or become a stop string.
    """
    text = text.rstrip(HALF_A_CHARACTER)
    longest = max(map(len, stop), default=1)
    for start in range(max(0, len(text) - longest + 1), len(text)):
        if any(string.startswith(text[start:]) for string in stop):
            return text[:start]
    return text
