"""Model directories and training states on disk."""
