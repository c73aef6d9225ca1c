"""Routes of microgpt's own API."""

from microgpt_serve.routes.native import chat, generate, status

ROUTERS = (chat.router, generate.router, status.router)
