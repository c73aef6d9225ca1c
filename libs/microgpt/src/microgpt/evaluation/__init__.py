"""Held-out loss, exact-match scores of chat replies, scores and explanations of texts."""
