"""GET /health, /ready, /metrics, /microgpt/v1/model and /v1/models: the service and its model."""

from dataclasses import asdict
from datetime import datetime

from fastapi import APIRouter, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from microgpt.data.folding import FoldingTokenizer
from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import STATUS_DESCRIPTIONS, ServeError
from microgpt_serve.routes.openai.response_schemas import Model, Models, OpenAIErrorResponse
from microgpt_serve.schemas import ErrorResponse, HealthResponse, ModelResponse, ReadyResponse
from microgpt_serve.served_model import ServedModel

router, openai_router = APIRouter(), APIRouter()


@router.get("/health", summary="Liveness probe")
async def health(state: StateDep) -> HealthResponse:
    """Return 200 and the model's name and version while the process is running."""
    return HealthResponse(model=state.model.name, version=state.model.version)


@router.get(
    "/ready",
    summary="Readiness probe",
    responses={503: {"model": ErrorResponse, "description": STATUS_DESCRIPTIONS[503]}},
)
async def ready(state: StateDep) -> ReadyResponse:
    """Return 200, or 503 if the service is shutting down."""
    state.check_open()
    return ReadyResponse()


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(state: StateDep) -> Response:
    """Return all metrics in the Prometheus text format."""
    content = generate_latest(state.metrics.registry)
    return Response(content, media_type=CONTENT_TYPE_PLAIN_0_0_4)


@router.get("/microgpt/v1/model", summary="Describe the model")
async def model(state: StateDep) -> ModelResponse:
    """Return the model's name, version, shape and vocabulary."""
    return describe(state.model)


def describe(served: ServedModel) -> ModelResponse:
    """Return the description of a model."""
    gpt = served.gpt
    return ModelResponse(
        name=served.name,
        version=served.version,
        chat=gpt.tokenizer.is_chat,
        answers_few=gpt.known_questions is not None,
        num_params=gpt.num_params,
        **asdict(gpt.config),
        dtype=gpt.compiled.dtype,
        tokenizer=gpt.tokenizer.kind,
        characters="".join(gpt.tokenizer.chars or ()),
        fold=isinstance(gpt.tokenizer, FoldingTokenizer),
        created_at=served.created_at,
        progress=served.progress,
    )


@openai_router.get("/v1/models", summary="List the models (OpenAI-compatible)")
async def models(state: StateDep) -> Models:
    """Return a list that contains only the served model."""
    return {"object": "list", "data": [_model(state.model)]}


@openai_router.get(
    "/v1/models/{name:path}",
    summary="Describe a model (OpenAI-compatible)",
    responses={
        404: {"model": OpenAIErrorResponse, "description": "No model with this name is served."}
    },
)
async def model_of(name: str, state: StateDep) -> Model:
    """Return the served model if `name` matches, otherwise 404."""
    model = state.model
    if name != model.name:
        message = f"model {name!r:.80} does not exist; use {model.name}"
        raise ServeError(404, message, field="model", code="model_not_found")
    return _model(model)


def _model(model: ServedModel) -> Model:
    created = datetime.fromisoformat(model.created_at).timestamp() if model.created_at else 0
    return {"id": model.name, "object": "model", "created": int(created), "owned_by": "microgpt"}
