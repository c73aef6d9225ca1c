"""Verify gradients, and compare training with Karpathy's run."""
