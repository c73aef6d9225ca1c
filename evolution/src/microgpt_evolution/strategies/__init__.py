"""Strategies: they ask for trials and are told what was measured."""
