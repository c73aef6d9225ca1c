"""SIMD vectors as a numba type."""
