"""Exceptions that callers can handle; modules define the others where they raise them."""


class MicrogptError(Exception):
    """Base class of all errors shown to the user."""


class ConfigError(MicrogptError):
    """A setting is out of range."""


class DataError(MicrogptError):
    """Training or evaluation data cannot be used."""


class TokenizerError(MicrogptError):
    """Text or tokens are not in the vocabulary."""


class PromptError(MicrogptError):
    """The prompt is invalid or too long, or no next token can be sampled."""


class CheckpointError(MicrogptError):
    """A model directory cannot be read or written."""
