"""The interface of the formats of `microgpt export`, which are plug-ins in the group `exports`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from microgpt.plugins import Tell
from microgpt.storage.saved_model import SavedModel


@dataclass(frozen=True)
class ExportRequest:
    """The user's choices for an export."""

    output: Path  # a file, or a directory if the format has a mark
    name: str  # display name of the model
    note: Tell  # shows a note to the user


@dataclass(frozen=True)
class Verification:
    """The result of running an exported model in another program."""

    lines: tuple[str, ...]  # descriptions of the comparisons, for the user
    passed: bool  # whether both programs computed the same


@dataclass(frozen=True)
class ExportFormat:
    """A file format for exported models; `plugin("exports", name)` returns it.

    Args:
        encode: returns the content of each file, by path, without writing the files.
        mark: name of a file by which an exported directory is recognised; None if an export is a
            single file.
        verify: runs an exported model in the other program; None if a path has another format.
    """

    encode: Callable[[SavedModel, ExportRequest], Mapping[Path, bytes]]
    mark: str | None = None
    verify: Callable[[Path], Verification | None] | None = None
