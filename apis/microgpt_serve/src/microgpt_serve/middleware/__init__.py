"""ASGI middleware: host checks, API key and access log."""
