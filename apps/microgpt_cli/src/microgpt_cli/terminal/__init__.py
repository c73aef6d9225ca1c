"""Console output, progress bars, signals and help."""
