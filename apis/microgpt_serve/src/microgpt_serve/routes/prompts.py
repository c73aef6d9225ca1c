"""Encode the conversations of requests."""

from collections.abc import Sequence
from functools import partial

from fastapi import Request

from microgpt import IGNORED_ROLES, ChatPrompt, Message
from microgpt_serve.app_state import AppState
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_function
from microgpt_serve.routes.body import MAX_INLINE_CHARS
from microgpt_serve.schemas import MAX_CHARACTERS, ChatMessage
from microgpt_serve.served_model import ServedModel


async def encode_messages(
    messages: Sequence[ChatMessage], model: ServedModel, request: Request, state: AppState
) -> ChatPrompt:
    """Encode a conversation without its system messages; truncate it to fit into the context."""
    if not model.gpt.tokenizer.is_chat:
        raise ServeError(
            400, "this is not a chat model; use /microgpt/v1/generate or /v1/completions"
        )
    n_characters = sum(len(message.content) for message in messages)
    if n_characters > MAX_CHARACTERS:
        message = f"messages have {n_characters} characters; at most {MAX_CHARACTERS} are allowed"
        raise ServeError(400, message, field="messages")
    size = n_characters + 2 * len(messages)
    encode = partial(_encode, messages, model)
    return await run_function(state, request, encode, size, MAX_INLINE_CHARS, len(messages))


def _encode(messages: Sequence[ChatMessage], model: ServedModel) -> ChatPrompt:
    conversation = [
        Message(one.role, one.content)  # type: ignore[arg-type]
        for one in messages
        if one.role not in IGNORED_ROLES
    ]
    if not conversation:
        message = "messages has no user message; add one (the model ignores system messages)"
        raise ServeError(400, message, field="messages")
    return model.gpt.chat_prompt(conversation)
