"""The formats of `microgpt export`, which packages add as plug-ins of the group `exports`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from microgpt.plugins import Tell
from microgpt.storage.saved_model import SavedModel


@dataclass(frozen=True)
class ExportRequest:
    """What a person asks of an export."""

    output: Path  # a file, or the directory of a format with a mark
    name: str  # of the model, for people
    note: Tell  # shows a note to the person


@dataclass(frozen=True)
class Verification:
    """Whether an exported model computes in another program what it should."""

    lines: tuple[str, ...]  # for people: what was compared
    passed: bool


@dataclass(frozen=True)
class ExportFormat:
    """A format in which a package writes models.

    Args:
        encode: returns the content of each file by its path; it writes none itself.
        mark: the name of a file that only exports of this format have; without a mark, the
            output is a file instead of a directory.
        verify: runs an exported model in its program; returns None if a path is of another format.
    """

    encode: Callable[[SavedModel, ExportRequest], Mapping[Path, bytes]]
    mark: str | None = None
    verify: Callable[[Path], Verification | None] | None = None
