"""ASGI middleware: hosts, API keys, rate limits and access log."""
