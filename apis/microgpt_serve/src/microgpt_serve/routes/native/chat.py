"""POST /microgpt/v1/chat: the assistant's reply to a conversation."""

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request

from microgpt.batching.jobs import reply_job
from microgpt.config import Sampling
from microgpt.data.chat_truncation import ChatPrompt
from microgpt.data.tokenizer import Message
from microgpt_serve.errors import ServeError
from microgpt_serve.routes.body import BodyRoute
from microgpt_serve.schemas import MOST_CHARACTERS, ChatMessage, ChatRequest, ChatResponse
from microgpt_serve.served_model import ServedModel
from microgpt_serve.service import MOST_INLINE, Service, service_of

router = APIRouter(route_class=BodyRoute)


@router.post("/microgpt/v1/chat", summary="Reply to a conversation")
async def chat(body: ChatRequest, request: Request) -> ChatResponse:
    """Return the assistant's next turn.

    What does not fit into the context is left out, the oldest turns first; so are characters that
    the model does not know.
    """
    service = service_of(request)
    model = service.model
    prompt = await prompt_of(body.messages, model, service)
    job = reply_job(
        model.gpt,
        prompt,
        sampling=Sampling(body.temperature),
        max_tokens=body.max_tokens,
        seed=body.seed,
    )
    (reply,) = await service.generate(request, model, job)
    return ChatResponse.model_construct(
        role="assistant",
        content=model.gpt.tokenizer.decode(reply.tokens),
        tokens_dropped=prompt.tokens_dropped,
        unknown_characters=prompt.unknown_characters,
        finish_reason=reply.finish_reason,
    )


async def prompt_of(
    messages: Sequence[ChatMessage], model: ServedModel, service: Service
) -> ChatPrompt:
    """Return a conversation as the model reads it."""
    if not model.gpt.tokenizer.is_chat:
        raise ServeError(400, "model was not trained with chat tokens")
    n_characters = sum(len(message.content) for message in messages)
    if n_characters > MOST_CHARACTERS:
        message = f"messages have {n_characters} characters; at most {MOST_CHARACTERS} are accepted"
        raise ServeError(400, message, field="messages")
    conversation = [Message(one.role, one.content) for one in messages]  # type: ignore[arg-type]
    if n_characters + 2 * len(messages) <= MOST_INLINE:
        return model.gpt.chat_prompt(conversation)
    return await service.aside(partial(model.gpt.chat_prompt, conversation))
