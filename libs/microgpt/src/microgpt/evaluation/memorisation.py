"""Recognise samples that are copies of training data."""

from collections.abc import Container, Sequence
from typing import Any

from microgpt.config import TextKind, TrainConfig


class KnownTexts(Container[str]):
    """A container of the training texts of a model, including parts of long texts."""

    def __init__(
        self, texts: Sequence[str], *, room: int, text: TextKind = TrainConfig.text
    ) -> None:
        """Index training texts.

        Args:
            room: maximum number of tokens in a sample. A sample of at least `room` bytes may be
                truncated, so it is also known if it is a substring of a text.
            text: "stream" if every substring of a text counts as known.
        """
        self._room = room if text == "lines" else 0
        self._whole = frozenset(texts)
        self._long = "\0".join(each for each in texts if len(each.encode()) > self._room)

    def __contains__(self, sample: Any) -> bool:
        """Return whether a sample is a training text or a truncated part of a training text."""
        if sample in self._whole:
            return True
        part = sample.strip("\ufffd")
        return bool(part) and len(sample.encode()) >= self._room and part in self._long
