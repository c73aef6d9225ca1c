"""Compiled counterparts of the functions of the reference engine."""
