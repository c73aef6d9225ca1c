"""Search for training settings with a budget of operations."""
