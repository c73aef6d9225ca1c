"""Training steps on arrays, on one or more threads."""
