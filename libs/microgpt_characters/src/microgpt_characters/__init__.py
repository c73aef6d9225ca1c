"""Chat models that are made from a character's file or from a table of questions and answers."""
