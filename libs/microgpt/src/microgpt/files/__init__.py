"""Atomic writes, directory locks and size-limited reads."""
