"""Generate texts and reply to a conversation: microgpt's own POST routes."""

from functools import partial

from fastapi import APIRouter, Request

from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import encode_messages, run_function, run_job
from microgpt_serve.routes.body import BodyRoute
from microgpt_serve.schemas import (
    MAX_PROMPT_COPIES,
    ChatRequest,
    ChatResponse,
    GenerateRequest,
    GenerateResponse,
    sampling_of,
)

router = APIRouter(route_class=BodyRoute)


@router.post("/microgpt/v1/chat", summary="Reply to a conversation")
async def chat(body: ChatRequest, request: Request, state: StateDep) -> ChatResponse:
    """Return the assistant's reply.

    The oldest turns are dropped if the conversation does not fit into the context. Characters
    outside the vocabulary are removed. A model of few questions ignores temperature and seed.
    """
    model = state.model_of(request, body.model)
    prompt = await encode_messages(body.messages, model, request, state)
    sampling = sampling_of(body.temperature)
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


@router.post("/microgpt/v1/generate", summary="Generate texts")
async def generate(body: GenerateRequest, request: Request, state: StateDep) -> GenerateResponse:
    """Return generated texts, each including the prompt.

    `microgpt generate` returns the same texts for the same seed. A chat model generates user
    messages.
    """
    model = state.model_of(request, body.model)
    if (length := body.num_samples * len(body.prompt)) > MAX_PROMPT_COPIES:
        limit = f"must be <= {MAX_PROMPT_COPIES}, got {length}"
        message = f"num_samples times the length of the prompt {limit}"
        raise ServeError(400, message, field="num_samples")
    encode = partial(
        model.gpt.text_job,
        body.num_samples,
        prompts=[body.prompt],
        sampling=sampling_of(body.temperature, body.top_k, body.top_p),
        max_tokens=model.max_new_tokens(body.max_tokens),
        seed=body.seed,
    )
    job = await run_function(state, request, encode, len(body.prompt))
    decode = model.gpt.tokenizer.decode
    continuations = await run_job(state, request, model, job)
    samples = [body.prompt + decode(one.tokens) for one in continuations]
    return GenerateResponse(samples=samples, tokens_dropped=job.tokens_dropped or None)
