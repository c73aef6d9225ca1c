"""The commands `evolve`, `sweep`, `analyze`, `run` and `judge`, and their parts."""
