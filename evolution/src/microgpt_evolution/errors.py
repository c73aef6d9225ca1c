"""The errors of evolution that a caller can do something about.

    MicrogptError
    ├── GenomeError     a genome outside its ranges, or a genome.json that cannot be used
    ├── ClusterError    workers elsewhere that cannot be reached
    ├── RunError        the records of a run that cannot be used
    ├── NoWinnerError   a search in which no organism could be trained
    └── StoppedError    a search that was told to stop

As in `microgpt.errors`, each message is one sentence for the user.
"""

from microgpt.errors import MicrogptError


class GenomeError(MicrogptError):
    """A genome is outside its ranges, or its file cannot be used."""


class ClusterError(MicrogptError):
    """Workers on other machines cannot be reached, or not from this installation."""


class RunError(MicrogptError):
    """The records of a run are missing or damaged, or of another search."""


class NoWinnerError(MicrogptError):
    """No organism of a search could be trained to its end."""


class StoppedError(MicrogptError):
    """What was to be evaluated is not, because someone asked to stop."""
