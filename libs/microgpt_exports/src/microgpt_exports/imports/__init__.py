"""Import models that other programs have trained."""
