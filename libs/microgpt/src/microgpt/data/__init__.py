"""Tokenizers, text files, conversations and the datasets that a training reads."""
