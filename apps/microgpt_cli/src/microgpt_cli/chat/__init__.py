"""Interactive chat: session, commands and terminal input."""
