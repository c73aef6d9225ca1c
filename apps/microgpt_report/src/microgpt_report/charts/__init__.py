"""Charts of training runs (loss curves), sweeps (scaling) and searches (genes, retest, ...)."""
