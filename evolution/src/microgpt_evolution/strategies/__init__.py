"""Search strategies, which propose trials and learn from their evaluations."""
