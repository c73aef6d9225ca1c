"""POST /microgpt/v1/chat: reply to a conversation."""

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request

from microgpt.config import Sampling
from microgpt.data.chat_truncation import ChatPrompt
from microgpt.data.tokenizer import IGNORED_ROLES, Message
from microgpt_serve.app_state import AppState, StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_function, run_job
from microgpt_serve.routes.body import MAX_INLINE_CHARS, BodyRoute
from microgpt_serve.schemas import MAX_CHARACTERS, ChatMessage, ChatRequest, ChatResponse
from microgpt_serve.served_model import ServedModel

router = APIRouter(route_class=BodyRoute)


@router.post("/microgpt/v1/chat", summary="Reply to a conversation")
async def chat(body: ChatRequest, request: Request, state: StateDep) -> ChatResponse:
    """Return the assistant's reply.

    The oldest turns are dropped if the conversation does not fit into the context. Characters
    outside the vocabulary are removed.
    """
    model = state.model
    prompt = await encode_messages(body.messages, model, request, state)
    sampling = Sampling(body.temperature)
    limit = model.max_new_tokens(body.max_tokens)
    job = model.gpt.reply_job(prompt, sampling=sampling, max_tokens=limit, seed=body.seed)
    (reply,) = await run_job(state, request, model, job)
    return ChatResponse.model_construct(
        role="assistant",
        content=model.gpt.tokenizer.decode(reply.tokens),
        tokens_dropped=prompt.tokens_dropped,
        unknown_characters=prompt.unknown_characters,
        finish_reason=reply.finish_reason,
    )


async def encode_messages(
    messages: Sequence[ChatMessage], model: ServedModel, request: Request, state: AppState
) -> ChatPrompt:
    """Encode a conversation without system messages, truncated to fit into the context."""
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
    return await run_function(state, request, encode, size, MAX_INLINE_CHARS)


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
