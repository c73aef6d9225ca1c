"""`microgpt train`: options, data, run and report."""
