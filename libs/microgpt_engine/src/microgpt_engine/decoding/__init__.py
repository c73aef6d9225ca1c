"""Batched decoding with a KV cache. Layout: rows. See docs/engine.md#decoding."""
