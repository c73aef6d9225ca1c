"""The HTTP service around one model."""
