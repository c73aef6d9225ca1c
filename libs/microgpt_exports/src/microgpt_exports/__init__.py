"""Export models to other programs, and verify that these programs compute the same results."""
