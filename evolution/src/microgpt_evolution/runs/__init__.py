"""Run directories: settings and evaluations."""
