"""Reader of chats exported from apps."""
