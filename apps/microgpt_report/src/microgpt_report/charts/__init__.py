"""Charts of training runs (loss curves), sweeps (scaling) and searches (evaluations)."""
