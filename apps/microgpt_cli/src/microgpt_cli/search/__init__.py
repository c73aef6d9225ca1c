"""Progress, log and winner of `evolve` and `sweep`."""
