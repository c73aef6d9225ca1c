"""Training steps on arrays, on one or more threads.

Layout: columns for activations, weights for all that the optimizer updates. See `microgpt.engine`
and docs/performance.md#a-step.
"""
