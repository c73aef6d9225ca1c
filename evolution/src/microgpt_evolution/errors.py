"""The errors that a caller can handle; as in `microgpt.errors`, messages are for the user."""

from microgpt.errors import MicrogptError


class GenomeError(MicrogptError):
    """A genome is outside its ranges, or its file cannot be used."""


class ClusterError(MicrogptError):
    """Workers on other machines cannot be reached."""


class RunError(MicrogptError):
    """The records of a run are missing or damaged, or cannot be resumed here."""


class NoWinnerError(MicrogptError):
    """No organism of a search could be trained to its end."""


class StoppedError(MicrogptError):
    """A search or a sweep was told to stop."""
