"""Run `evolve` and `sweep`, with progress and logs."""
