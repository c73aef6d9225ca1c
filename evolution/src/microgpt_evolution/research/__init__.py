"""Experiments: a change of a program is kept if it is better, and again on fresh seeds."""
