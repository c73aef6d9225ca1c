"""Evolutionary searches: by loss, by aesthetics, and the Hydra."""
