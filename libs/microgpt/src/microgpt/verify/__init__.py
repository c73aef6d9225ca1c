"""Verify gradients and replay Karpathy's run."""
