"""Checks of the arithmetic that anyone can repeat."""
