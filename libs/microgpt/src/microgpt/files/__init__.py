"""Atomic writes, directory locks and bounded reads."""
