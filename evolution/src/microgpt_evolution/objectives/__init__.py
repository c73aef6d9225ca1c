"""Objectives of searches and sweeps: train a model and measure it."""
