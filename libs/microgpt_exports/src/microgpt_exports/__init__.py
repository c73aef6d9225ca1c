"""Export models to other programs, with a receipt to verify the results there."""
