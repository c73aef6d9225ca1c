"""The errors that a caller can do something about.

    MicrogptError
    ├── ConfigError        a setting outside its range
    ├── DataError          a training file that cannot be used
    ├── TokenizerError     text or tokens that the vocabulary does not know
    ├── PromptError        a prompt that the model cannot go on from
    ├── CheckpointError    a model directory that cannot be read or written
    │   └── FullDiskError  … because there is no room: not bad input, but a failure
    └── DivergedError      a loss that is no longer a finite number (in microgpt.train)

Each message is one sentence for the user: what was wrong, where, and what to do. A command prints
it as it is.
"""


class MicrogptError(Exception):
    """The base of all errors that are meant to be shown to the user."""


class ConfigError(MicrogptError):
    """A setting is outside its range."""


class DataError(MicrogptError):
    """A training file cannot be used."""


class TokenizerError(MicrogptError):
    """Text or tokens are not in the vocabulary."""


class PromptError(MicrogptError):
    """The model cannot go on from this prompt: it does not fit, or the weights are too large."""


class CheckpointError(MicrogptError):
    """A model directory cannot be read or written."""


class FullDiskError(CheckpointError):
    """There is no room for what is to be written."""
