"""The training loop, its engines, and what it starts from."""
