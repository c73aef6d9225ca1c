"""`microgpt train`: options, job and run."""
