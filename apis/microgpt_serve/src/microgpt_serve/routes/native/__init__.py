"""microgpt's own routes, one module each."""

from microgpt_serve.routes.native import chat, generate, status

ROUTERS = (chat.router, generate.router, status.router)
