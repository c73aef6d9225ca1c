"""Interactive chat: session and input."""
