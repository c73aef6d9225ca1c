"""Truncate generated text at stop strings."""

from microgpt.data.tokenizer import Tokenizer
from microgpt.sampling import TokenStream


def cut_at_stop(text: str, stop: tuple[str, ...], start: int = 0) -> str:
    """Return the text before the stop string that ends first, or all text if there is none.

    No stop string may begin before `start`.
    """
    places = [text.find(string, start) for string in stop]
    ends = [(place + len(stop[i]), place) for i, place in enumerate(places) if place >= 0]
    return text[: min(ends)[1]] if ends else text


def text_until(stream: TokenStream, tokenizer: Tokenizer, stop: tuple[str, ...]) -> str:
    """Decode a stream up to the first stop string and return the text."""
    text = ""
    for piece in tokenizer.decode_stream(stream):
        text += piece
        if any(string in text for string in stop):
            stream.close()
            break
    return cut_at_stop(text, stop)
