"""Read and write model directories and checkpoints."""
