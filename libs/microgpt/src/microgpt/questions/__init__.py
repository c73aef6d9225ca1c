"""Answer a few known questions: find the question that a message means, or refuse to answer."""
