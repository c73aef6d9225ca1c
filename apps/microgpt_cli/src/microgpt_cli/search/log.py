"""Log of a search to a file and stdout."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from microgpt.files.atomic_files import cannot_write
from microgpt_cli.search.table import SearchTable
from microgpt_cli.terminal.console import print_or_discard


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
