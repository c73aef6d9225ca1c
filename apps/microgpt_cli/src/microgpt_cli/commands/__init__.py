"""The commands of `microgpt`, one module each."""
