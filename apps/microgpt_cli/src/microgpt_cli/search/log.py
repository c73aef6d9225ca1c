"""The log of a search, on paper and on stdout, and what is said where it ends early."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import typer

from microgpt.errors import MicrogptError
from microgpt.files.atomic_files import as_argument, cannot_write
from microgpt_cli.search.table import SearchTable
from microgpt_cli.terminal.console import abandon, say, show_while_read
from microgpt_cli.terminal.signals import obeyed
from microgpt_evolution.runs.run_directory import RunDirectory


class SearchLog:
    """Writes lines to the log and to stdout; on a terminal, where the table was."""

    def __init__(self, path: Path, table: SearchTable | None) -> None:
        self._path, self._table = path, table
        with self._writing():
            self._file = path.open("w", encoding="utf-8", errors="backslashreplace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_table()
        with suppress(OSError):  # what is still in the buffer has been told of
            self._file.close()

    def __call__(self, line: str) -> None:
        """Write a line; raise CheckpointError if it cannot be written into the log."""
        self.stop_table()
        show_while_read(line)
        with self._writing():
            self._file.write(f"{line}\n")
            self._file.flush()

    def stop_table(self) -> None:
        """Take the table away for now."""
        if self._table:
            self._table.stop()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self._path.parent, error) from error


@contextmanager
def resumable(records: RunDirectory, command: str) -> Iterator[None]:
    """Have whatever ends a run early say which command, with its directory, goes on with it."""
    how = f"go on with: {command} {as_argument(records.directory)}"
    try:
        yield
    except KeyboardInterrupt as stop:
        obeyed()  # else it is repeated while a slow pool closes, and what is said here is lost
        raise type(stop)(f"after {records.n_recorded} evaluations; {how}") from None
    except (MicrogptError, OSError) as error:  # of the system: stdout cannot take more
        if not records.n_known:  # there is nothing to go on with
            raise
        say(f"error: {error}; {how}")
        if isinstance(error, OSError):
            abandon(sys.stdout)
        raise typer.Exit(1) from error
