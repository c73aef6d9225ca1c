"""The errors that a caller can do something about; see also `microgpt.train.DivergedError`."""


class MicrogptError(Exception):
    """The base of all errors that are shown to the user."""


class ConfigError(MicrogptError):
    """A setting is outside its range."""


class DataError(MicrogptError):
    """A training file cannot be used."""


class TokenizerError(MicrogptError):
    """Text or tokens are not in the vocabulary."""


class PromptError(MicrogptError):
    """The model cannot continue this prompt: it does not fit, or the weights are too large."""


class CheckpointError(MicrogptError):
    """A model directory cannot be read or written."""


class FullDiskError(CheckpointError):
    """There is no room for what is to be written: a failure, not bad input."""
