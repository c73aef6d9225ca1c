"""Console output, progress bars, signals, options and help of the commands."""
