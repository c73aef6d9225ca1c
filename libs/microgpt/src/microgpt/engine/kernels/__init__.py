"""Compiled kernels, each beside the reference function that it speeds up."""
