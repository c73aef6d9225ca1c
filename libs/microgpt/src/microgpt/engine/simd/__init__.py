"""SIMD vectors as a Numba type. Layout: adjacent numbers. See docs/performance.md#vectors."""
