"""Exceptions that a caller can handle; see also `microgpt.training.train.DivergedError`."""


class MicrogptError(Exception):
    """Base class of all errors shown to the user."""


class ConfigError(MicrogptError):
    """A setting is out of range."""


class DataError(MicrogptError):
    """A training file cannot be used."""


class TokenizerError(MicrogptError):
    """Text or tokens are not in the vocabulary."""


class PromptError(MicrogptError):
    """The model cannot continue this prompt: it does not fit, or the weights are too large."""


class CheckpointError(MicrogptError):
    """A model directory cannot be read or written."""


class FullDiskError(CheckpointError):
    """The disk is full: a failure, not bad input."""
