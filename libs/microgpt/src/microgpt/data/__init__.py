"""Tokenizers, text files, conversations and training datasets."""
