"""Generate texts, reply to a conversation, and score texts: microgpt's own POST routes."""

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from microgpt.evaluation.scoring import Scorer
from microgpt.steps import Steps
from microgpt.storage.calibration_file import Calibration
from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_function, run_job, run_steps
from microgpt_serve.routes.body import JSON_TYPE, MAX_INLINE_CHARS, BodyRoute, json_steps
from microgpt_serve.routes.prompts import encode_messages
from microgpt_serve.schemas import (
    MAX_CHARACTERS,
    MAX_PROMPT_COPIES,
    ChatRequest,
    ChatResponse,
    GenerateRequest,
    GenerateResponse,
    HealthResponse,
    ReloadRequest,
    ScoreRequest,
    ScoreResponse,
    TextScore,
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
        sampling=body.sampling,
        max_tokens=model.max_new_tokens(body.max_tokens),
        seed=body.seed,
    )
    job = await run_function(state, request, encode, len(body.prompt), MAX_INLINE_CHARS)
    decode = model.gpt.tokenizer.decode
    continuations = await run_job(state, request, model, job)
    samples = [body.prompt + decode(one.tokens) for one in continuations]
    return GenerateResponse(samples=samples, tokens_dropped=job.tokens_dropped or None)


@router.post("/microgpt/v1/score", summary="Score texts", response_model=ScoreResponse)
async def score(body: ScoreRequest, request: Request, state: StateDep) -> Response:
    """Return how much each text surprises the model, in bits per character.

    The scores are those of `microgpt score`. If the model is calibrated, also return percentiles.
    """
    model = state.model_of(request, body.model)
    if (scorer := model.scorer) is None:
        raise ServeError(400, "a chat model cannot score texts; serve a model trained on texts")
    n_characters = sum(map(len, body.texts))
    if n_characters > MAX_CHARACTERS:
        message = f"texts have {n_characters} characters; at most {MAX_CHARACTERS} are allowed"
        raise ServeError(400, message, field="texts")
    steps = _score(scorer, model.calibration, body)
    content = await run_steps(state, request, steps, n_characters + len(body.texts))
    return Response(content, media_type=JSON_TYPE)


@router.post("/microgpt/v1/reload", summary="Reload a model")
async def reload(body: ReloadRequest, request: Request, state: StateDep) -> HealthResponse:
    """Load a model again from its directory, and return its version.

    Running requests finish with the old model, which stays in use if the new one cannot be loaded.
    The service must have API keys.
    """
    if not state.settings.has_keys:
        message = "a service without API keys reloads its models only on SIGHUP; set a key"
        raise ServeError(403, message)
    await state.reloader.reload(body.model)
    if body.model in state.models.failed:
        raise ServeError(503, f"the model {body.model} could not be reloaded; see the log")
    model = state.model_of(request, body.model)
    return HealthResponse(model=model.name, version=model.version)


def _score(scorer: Scorer, calibration: Calibration | None, body: ScoreRequest) -> Steps[bytes]:
    scores = yield from scorer.steps(body.texts)
    response = [
        TextScore.model_construct(
            bits_per_character=one.bits_per_character,
            bits=one.bits,
            n_unknown=one.n_unknown,
            percentile=calibration.percentile(one.bits_per_character) if calibration else None,
            character_bits=one.character_bits.tolist() if body.characters else None,
        )
        for one in scores
    ]
    return (yield from json_steps({"scores": response}))
