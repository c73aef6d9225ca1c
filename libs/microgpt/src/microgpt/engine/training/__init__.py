"""Training steps. Layout: columns; weights for the optimizer. See docs/performance.md#a-step."""
