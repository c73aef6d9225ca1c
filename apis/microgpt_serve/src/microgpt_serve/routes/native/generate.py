"""POST /microgpt/v1/generate: texts as the model makes them up."""

from functools import partial

from fastapi import APIRouter, Request

from microgpt.batching.jobs import text_job
from microgpt.config import Sampling
from microgpt_serve.routes.body import BodyRoute
from microgpt_serve.schemas import GenerateRequest, GenerateResponse
from microgpt_serve.service import MOST_INLINE, service_of

router = APIRouter(route_class=BodyRoute)


@router.post("/microgpt/v1/generate", summary="Make up texts")
async def generate(body: GenerateRequest, request: Request) -> GenerateResponse:
    """Return texts as the model makes them up, each with the prompt that it begins with.

    The same seed gives the same texts, here and with `microgpt generate`. A chat model makes up
    what a user might say.
    """
    service = service_of(request)
    model = service.model
    prepare = partial(
        text_job,
        model.gpt,
        body.num_samples,
        prompts=[body.prompt],
        sampling=Sampling(body.temperature, body.top_k, 1.0 if body.top_p is None else body.top_p),
        max_tokens=body.max_tokens,
        seed=body.seed,
    )
    long = len(body.prompt) > MOST_INLINE
    job = await service.aside(prepare) if long else prepare()
    decode = model.gpt.tokenizer.decode
    continuations = await service.generate(request, model, job)
    return GenerateResponse.model_construct(
        samples=[body.prompt + decode(one.tokens) for one in continuations]
    )
