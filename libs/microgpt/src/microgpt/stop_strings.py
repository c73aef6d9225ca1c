"""Texts that end before a stop string."""

from collections.abc import Collection

from microgpt.data.tokenizer import Tokenizer
from microgpt.errors import ConfigError
from microgpt.sampling import TokenStream


def check_stop(stop: Collection[str]) -> tuple[str, ...]:
    """Return stop strings; raise ConfigError if one is empty, or if `stop` is a string."""
    if isinstance(stop, str):
        raise ConfigError("stop is a string; pass a list of strings")
    if "" in stop:
        raise ConfigError("a stop string must not be empty")
    return tuple(stop)


def cut_at_stop(text: str, stop: tuple[str, ...], start: int = 0) -> str:
    """Return the text before the stop string that ends first, or all text if there is none.

    No stop string may begin before `start`.
    """
    places = [text.find(string, start) for string in stop]
    ends = [(place + len(stop[i]), place) for i, place in enumerate(places) if place >= 0]
    return text[: min(ends)[1]] if ends else text


def text_until(stream: TokenStream, tokenizer: Tokenizer, stop: tuple[str, ...]) -> str:
    """Return the text of a stream up to the first stop string, and close the stream there."""
    text = ""
    for piece in tokenizer.decode_stream(stream):
        text += piece
        if any(string in text for string in stop):
            stream.close()
            break
    return cut_at_stop(text, stop)
