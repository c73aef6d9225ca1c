"""Charts of training runs and explanations, and the look of all charts."""
