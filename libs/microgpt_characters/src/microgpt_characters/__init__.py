"""Questions with known replies, and generated conversations."""
