"""Objectives: train an organism and score it."""
