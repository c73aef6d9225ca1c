"""OpenAI-compatible routes below /v1/."""

from microgpt_serve.routes.openai import chat_completions, completions, models

ROUTERS = (chat_completions.router, completions.router, models.router)
