"""Exceptions that callers can handle; see also `microgpt.training.train.DivergedError`."""


class MicrogptError(Exception):
    """Base class of all errors shown to the user."""


class ConfigError(MicrogptError):
    """A setting is out of range."""


class DataError(MicrogptError):
    """Training or evaluation data cannot be used."""


class ConversationsError(DataError):
    """A file that should contain text contains conversations."""


class TokenizerError(MicrogptError):
    """Text or tokens are not in the vocabulary."""


class PromptError(MicrogptError):
    """The prompt is invalid or too long, or no next token can be sampled."""


class CheckpointError(MicrogptError):
    """A model directory cannot be read or written."""


class FullDiskError(CheckpointError):
    """The disk is full. This error is a system failure, not invalid input."""
