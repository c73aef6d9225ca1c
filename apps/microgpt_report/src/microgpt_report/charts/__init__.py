"""The charts of a search report, one module each."""
