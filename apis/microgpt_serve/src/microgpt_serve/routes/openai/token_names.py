"""What tokens are called where a client asks how likely they were."""

from collections.abc import Sequence
from heapq import nlargest

from microgpt.data.tokenizer import Tokenizer


class TokenNames:
    """The names of a model's tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._names = tokenizer.names
        self._special = tokenizer.special_ids

    def __getitem__(self, token: int) -> str:
        """Return the text of a token; of one that is no text, or no whole character, a name."""
        name = self._names[token]
        if token in self._special:
            return f"<|{name}|>"  # type: ignore[str-bytes-safe]
        if isinstance(name, str):
            return name
        try:
            return name.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in name)

    def bytes_of(self, token: int) -> list[int] | None:
        """Return the bytes of a token's text; None if it is no text."""
        if token in self._special:
            return None
        name = self._names[token]
        return list(name.encode() if isinstance(name, str) else name)


def likeliest(row: Sequence[float], n: int, token: int) -> list[int]:
    """Return the n tokens with the largest numbers, of equal ones the first, and a given token."""
    tokens = nlargest(n, range(len(row)), key=row.__getitem__)
    return tokens if token in tokens else [*tokens, token]
