"""Exceptions that callers can handle; some modules define further subclasses."""


class MicrogptError(Exception):
    """Base class of all errors shown to the user."""


class ConfigError(MicrogptError):
    """An argument or a setting is invalid, or requires memory or a package that is missing."""


class DataError(MicrogptError):
    """Training or evaluation data cannot be used."""


class TokenizerError(MicrogptError):
    """A character or a token is not in the vocabulary."""


class PromptError(MicrogptError):
    """The prompt is invalid or too long, or no next token can be sampled."""


class CheckpointError(MicrogptError):
    """A model directory or an exported model cannot be read or written."""
