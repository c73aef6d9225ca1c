"""Batched decoding with a KV cache.

Layout: rows. See `microgpt.engine` and docs/performance.md#decoding.
"""
