"""Answer few known questions: find the one that is meant, and admit when there is none."""
