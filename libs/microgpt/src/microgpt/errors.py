"""Exceptions that callers can handle; some modules define further subclasses."""


class MicrogptError(Exception):
    """Base class of all errors shown to the user."""


class ConfigError(MicrogptError):
    """An argument or setting is invalid, or requires too much memory or a missing package."""


class DataError(MicrogptError):
    """Training or evaluation data cannot be used."""


class TokenizerError(MicrogptError):
    """A tokenizer is invalid, or a character or token is not in its vocabulary."""


class PromptError(MicrogptError):
    """The prompt is invalid or too long, or no next token can be sampled."""


class CheckpointError(MicrogptError):
    """A model directory, a checkpoint or an exported model cannot be read or written."""
