"""Answer a few known questions: find the question that matches a message, or give up."""
