"""Create chat models from a character file, or from a table of questions and answers."""
