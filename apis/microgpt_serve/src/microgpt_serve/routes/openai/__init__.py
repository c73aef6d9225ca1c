"""The routes below /v1/, for clients of OpenAI's API; one module each."""

from microgpt_serve.routes.openai import chat_completions, completions, models

ROUTERS = (chat_completions.router, completions.router, models.router)
