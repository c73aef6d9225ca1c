"""Compiled counterparts of the functions of the reference engine.

The layout is "columns", or "rows" in functions whose names end in row or rows. A name that ends in
_t denotes a transposed array. See `microgpt_engine` and docs/engine.md#vectors.
"""
