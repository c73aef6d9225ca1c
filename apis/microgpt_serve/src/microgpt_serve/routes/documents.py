"""The documents of requests: texts, and conversations as the model reads them."""

from collections.abc import Sequence
from functools import partial

from fastapi import Request

from microgpt.data.chat_truncation import ChatPrompt
from microgpt.data.tokenizer import IGNORED_ROLES, Document, Message
from microgpt_serve.app_state import AppState
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_function
from microgpt_serve.routes.body import MAX_INLINE_CHARS
from microgpt_serve.schemas import (
    MAX_CHARACTERS,
    MAX_EXPLAINED,
    ExplainedDocument,
    ExplainedMessage,
)
from microgpt_serve.served_model import ServedModel


async def document_of(
    body: ExplainedDocument, model: ServedModel, request: Request, state: AppState
) -> tuple[Document, ChatPrompt | None]:
    """Return a text, or a conversation as the model reads it and the prompt of its last reply."""
    if body.messages is None:
        assert body.text is not None
        return body.text, None
    messages = [one for one in body.messages if one.role not in IGNORED_ROLES]
    reply = []
    if messages and messages[-1].role == "assistant":
        reply.append(Message("assistant", messages.pop().content))
    prompt = await encode_messages(messages, model, request, state)
    document = [*prompt.messages, *reply]
    n_characters = len(joined(document))
    if n_characters > MAX_EXPLAINED:
        message = f"messages have {n_characters} characters; at most {MAX_EXPLAINED} are allowed"
        raise ServeError(400, message, field="messages")
    return document, prompt


def joined(document: Document) -> str:
    """Return all characters of a text or a conversation."""
    if isinstance(document, str):
        return document
    return "".join(message.content for message in document)


async def encode_messages(
    messages: Sequence[ExplainedMessage], model: ServedModel, request: Request, state: AppState
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


def _encode(messages: Sequence[ExplainedMessage], model: ServedModel) -> ChatPrompt:
    conversation = [
        Message(one.role, one.content)  # type: ignore[arg-type]
        for one in messages
        if one.role not in IGNORED_ROLES
    ]
    if not conversation:
        message = "messages has no user message; add one (the model ignores system messages)"
        raise ServeError(400, message, field="messages")
    return model.gpt.chat_prompt(conversation)
