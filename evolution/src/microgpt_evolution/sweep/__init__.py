"""Hyper-parameter sweeps and scaling laws."""
