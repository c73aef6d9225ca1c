"""Training steps.

Layout: columns, and the layout "weights" for the optimizer. See docs/engine.md#a-step.
"""
