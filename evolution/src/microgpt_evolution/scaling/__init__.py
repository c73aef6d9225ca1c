"""Scaling analysis: loss against steps, size and cost."""
