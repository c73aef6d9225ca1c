"""Tokenizers, text and conversation files, and training datasets."""
