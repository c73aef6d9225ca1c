"""How to read a file of documents."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from microgpt.config import TextKind


@dataclass(frozen=True)
class ReadOptions:
    """How to read a file of documents; see `Settings`, which has the same fields."""

    text: TextKind | None = None  # by default, running text is detected
    column: str | None = None  # column of a table, or field of JSON objects, with the documents
    chat: bool = False  # whether the file has conversations
    me: str | None = None  # who the assistant is in an exported chat between people
    separator: str | None = None  # between documents of several lines; see `documents`

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the read options among the settings of a command or of a recorded run."""
        names = (field.name for field in fields(cls))
        return cls(**{name: facts[name] for name in names if facts.get(name) is not None})

    def as_typed(self) -> str:
        """Format the options for a command line, except --text, each followed by a space."""
        typed = "--chat " if self.chat else ""
        for name in ("column", "me", "separator"):
            if value := getattr(self, name):
                typed += f"--{name} {shlex.quote(value)} "
        return typed
