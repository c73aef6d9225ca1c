"""POST /microgpt/v1/generate: generate texts."""

from functools import partial

from fastapi import APIRouter, Request

from microgpt_serve.app_state import StateDep
from microgpt_serve.generation import run_function, run_job
from microgpt_serve.routes.body import MAX_INLINE_CHARS, BodyRoute
from microgpt_serve.schemas import GenerateRequest, GenerateResponse

router = APIRouter(route_class=BodyRoute)


@router.post("/microgpt/v1/generate", summary="Generate texts")
async def generate(body: GenerateRequest, request: Request, state: StateDep) -> GenerateResponse:
    """Return generated texts, each including the prompt.

    `microgpt generate` returns the same texts for the same seed. A chat model generates user
    messages.
    """
    model = state.model
    encode = partial(
        model.gpt.text_job,
        body.num_samples,
        prompts=[body.prompt],
        sampling=body.sampling,
        max_tokens=model.max_new_tokens(body.max_tokens),
        seed=body.seed,
    )
    job = await run_function(state, request, encode, len(body.prompt), MAX_INLINE_CHARS)
    continuations = await run_job(state, request, model, job)
    decode, known = model.gpt.tokenizer.decode, model.documents
    samples = [body.prompt + decode(one.tokens) for one in continuations]
    return GenerateResponse.model_construct(
        samples=samples,
        tokens_dropped=job.tokens_dropped or None,
        known=[text in known for text in samples] if known and body.known else None,
    )
