"""SIMD vectors as a Numba type.

Layout: a vector consists of adjacent numbers. See docs/engine.md#vectors.
"""
