"""Models for other programs, each with a receipt by which it can be verified there."""
