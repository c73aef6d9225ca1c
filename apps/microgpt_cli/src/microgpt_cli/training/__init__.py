"""Options, jobs and training runs of `microgpt train`."""
