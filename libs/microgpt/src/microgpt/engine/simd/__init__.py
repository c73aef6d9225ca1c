"""SIMD vectors as a Numba type.

Layout: any two dimensions, with the numbers of a row adjacent. See `microgpt.engine` and
docs/performance.md#vectors.
"""
