"""Training steps on arrays, in one thread or several."""
