"""Evolutionary searches: loss, aesthetic and Hydra."""
