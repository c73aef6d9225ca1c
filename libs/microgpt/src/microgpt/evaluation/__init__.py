"""Held-out loss, exact-match scores of chat replies, and memorisation."""
