"""Exceptions that callers can handle, with messages for end users."""

from microgpt import MicrogptError


class GenomeError(MicrogptError):
    """A gene is out of range, or a genome file is invalid or unreadable."""


class ClusterError(MicrogptError):
    """The Dask cluster cannot be reached."""


class RunError(MicrogptError):
    """The records of a run are missing, damaged or cannot be resumed."""


class NoWinnerError(MicrogptError):
    """No organism in the search finished training."""


class StoppedError(MicrogptError):
    """A search or a sweep was stopped."""
