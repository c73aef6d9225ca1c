"""ASGI middleware: host checks, API keys, rate limit and access log."""
