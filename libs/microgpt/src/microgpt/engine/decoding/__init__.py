"""Batched decoding with a KV cache. Layout: rows. See docs/performance.md#decoding."""
