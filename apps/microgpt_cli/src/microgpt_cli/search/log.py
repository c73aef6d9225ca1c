"""Log of a search to a file and stdout, and the resume hint after an interrupted run."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import typer

from microgpt.amounts import count
from microgpt.errors import MicrogptError
from microgpt.files.atomic_files import as_argument, cannot_write
from microgpt_cli.search.table import SearchTable
from microgpt_cli.terminal.console import discard_output, print_or_discard, say
from microgpt_cli.terminal.signals import clear_pending_stop
from microgpt_evolution.runs.run_directory import RunDirectory


class SearchLog:
    """Writes lines to the log file and stdout, and hides the table while printing."""

    def __init__(self, path: Path, table: SearchTable | None) -> None:
        self._path, self._table = path, table
        with self._writing():
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_table()
        with suppress(OSError):  # write errors have already been reported
            self._file.close()

    def __call__(self, line: str) -> None:
        """Print and write a line; raise CheckpointError if the log cannot be written."""
        self.stop_table()
        print_or_discard(line)
        self.write(line)

    def write(self, line: str) -> None:
        """Write a line to the file only; raise CheckpointError on failure."""
        with self._writing():
            self._file.write(f"{line}\n")
            self._file.flush()

    def stop_table(self) -> None:
        """Hide the table until the next update."""
        if self._table:
            self._table.stop()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self._path.parent, error) from error


@contextmanager
def resumable(records: RunDirectory[Any, Any], command: str) -> Iterator[None]:
    """Add the resume command to the message of an error that interrupts the run."""
    how = f"resume with: {command} {as_argument(records.directory)}"
    try:
        yield
    except KeyboardInterrupt as stop:
        clear_pending_stop()  # a repeated exception would replace this message
        n, unit = records.n_recorded, "training run" if "sweep" in command else "evaluation"
        raise type(stop)(f"after {count(n, unit)}; {how}") from None
    except (MicrogptError, OSError) as error:  # OSError: writing to stdout failed
        if not records.n_known:  # without recorded evaluations, there is nothing to resume
            raise
        say(f"error: {error}; {how}")
        if isinstance(error, OSError):
            discard_output(sys.stdout)
        raise typer.Exit(1) from error
