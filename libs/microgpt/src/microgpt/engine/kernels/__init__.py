"""Compiled kernels, each for a function of the reference engine."""
