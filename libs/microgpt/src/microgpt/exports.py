"""Interface of the export formats, which are the plug-ins in the group `microgpt.exports`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from microgpt.plugins import Tell
from microgpt.storage.model_metadata import SavedModel


@dataclass(frozen=True)
class ExportRequest:
    """The path and the model name of a requested export, and a function that shows notes."""

    output: Path  # path of the file, or of the directory if the format's `mark` is set
    name: str  # display name of the model
    note: Tell  # shows a note to the user


@dataclass(frozen=True)
class Verification:
    """The result of running an exported model in another program."""

    lines: tuple[str, ...]  # messages about the comparisons, shown to the user
    passed: bool  # whether the program that loaded the export reproduced microgpt's results


@dataclass(frozen=True)
class ExportFormat:
    """A model format of another program; `plugin("exports", name)` returns it.

    Args:
        encode: returns the content of each file, by path, without writing the files.
        mark: name of a file that identifies a directory of this format; None for single files.
        verify: runs an exported model in that program; returns None for a model in another format.
    """

    encode: Callable[[SavedModel, ExportRequest], Mapping[Path, bytes]]
    mark: str | None = None
    verify: Callable[[Path], Verification | None] | None = None
