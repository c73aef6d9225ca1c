"""The commands of microgpt-evolution, such as `evolve` and `sweep`, and code that they share."""
