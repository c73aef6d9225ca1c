"""SIMD vectors as a Numba type."""
