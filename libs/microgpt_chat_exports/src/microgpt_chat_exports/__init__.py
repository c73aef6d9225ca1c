"""Readers of chats that apps export."""
