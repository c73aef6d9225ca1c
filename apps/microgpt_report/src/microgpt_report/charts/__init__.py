"""The charts of reports and plots, one module each."""
