"""The commands of this package, such as `evolve` and `sweep`, and the code that they share."""
