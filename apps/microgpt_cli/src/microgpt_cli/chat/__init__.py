"""The interactive chat session."""
