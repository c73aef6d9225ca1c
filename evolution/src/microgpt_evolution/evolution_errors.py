"""Exceptions that callers can handle, with messages for end users."""

from collections.abc import Iterator
from contextlib import contextmanager

from microgpt import MicrogptError


class GenomeError(MicrogptError):
    """A gene is out of range, or a genome file is invalid or unreadable."""


class ClusterError(MicrogptError):
    """The Dask cluster cannot be reached or used."""


class StudyError(MicrogptError):
    """The files of a study are missing or damaged, or the study cannot be resumed."""


class NoWinnerError(MicrogptError):
    """No training run of a study completed, so the study has no winner."""


@contextmanager
def raised_as(
    kind: type[MicrogptError], where: object = "", remedy: str = "", *, form: str = ""
) -> Iterator[None]:
    """Convert errors about invalid content to `kind`; add `where` and `remedy` to the message."""
    try:
        yield
    except (MicrogptError, ValueError, RecursionError) as error:
        from pydantic import ValidationError  # imported here, because the import is slow

        from microgpt import first_problem

        problem = first_problem(error)
        if isinstance(error, UnicodeDecodeError):
            problem = "it is not UTF-8 text; use another file"
        elif form and not isinstance(error, MicrogptError | ValidationError):
            problem = f"invalid {form}: {problem}"
        raise kind(f"{f'{where}: ' if where else ''}{problem}{remedy}") from error
