"""Routes of microgpt's own API."""

from microgpt_serve.routes.native import chat, explain, generate, score, status

ROUTERS = (chat.router, explain.router, generate.router, score.router, status.router)
