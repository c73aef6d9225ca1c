"""Compiled kernels, counterparts of the functions of the reference engine."""
