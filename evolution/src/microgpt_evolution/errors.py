"""The errors of a search that a caller can do something about; each message is one sentence.

MicrogptError
├── ClusterError       workers elsewhere that cannot be reached
└── StoppedError       a search that was told to stop
"""

from microgpt.errors import MicrogptError


class ClusterError(MicrogptError):
    """Workers on other machines cannot be reached, or not from this installation."""


class StoppedError(MicrogptError):
    """What was to be evaluated is not, because someone asked to stop."""
