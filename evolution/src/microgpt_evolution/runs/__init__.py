"""Run directories: settings and one line per evaluation."""
