"""Held-out loss, exact match of chat replies, and memorisation."""
