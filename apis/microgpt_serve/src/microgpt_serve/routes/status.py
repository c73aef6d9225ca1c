"""GET /health, /ready, /metrics and /v1/models: the service and its models."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from microgpt_serve.app_state import StateDep
from microgpt_serve.routes.openai.response_schemas import Model, Models, OpenAIErrorResponse
from microgpt_serve.schemas import HealthResponse, ReadyResponse, error_responses
from microgpt_serve.served_model import ServedModel

router, openai_router = APIRouter(), APIRouter()
ModelName = Annotated[
    str | None, Query(alias="model", description="Name of the model. Default: the first one.")
]
NAMED = {404: "No model with this name is served.", 503: "The model could not be loaded."}


@router.get(
    "/health",
    summary="Liveness probe",
    responses=error_responses(NAMED),
    response_model_exclude_none=True,
)
async def health(request: Request, state: StateDep, name: ModelName = None) -> HealthResponse:
    """Return 200 while the process is running, and a model's name and version.

    Without a name, it is the first model that is loaded. If the service has API keys, a request
    without one learns only that the process is running.
    """
    if not request.scope["is_authorised"]:
        return HealthResponse(model=None, version=None)
    model = state.models.find(name) if name is not None else state.models.loaded[0]
    return HealthResponse(model=model.name, version=model.version)


@router.get("/ready", summary="Readiness probe", responses=error_responses([503]))
async def ready(request: Request, state: StateDep) -> ReadyResponse:
    """Return 200, or 503 if the service is shutting down.

    `failed` names the models that could not be loaded. The others are ready.
    """
    state.check_open()
    failed = state.models.failed if request.scope["is_authorised"] else ()
    return ReadyResponse(failed=sorted(failed))


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(state: StateDep) -> Response:
    """Return all metrics in the Prometheus text format."""
    return Response(state.metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


@openai_router.get("/v1/models", summary="List the models (OpenAI-compatible)")
async def models(state: StateDep) -> Models:
    """Return all models that are loaded."""
    return {"object": "list", "data": list(map(_model, state.models.loaded))}


@openai_router.get(
    "/v1/models/{name:path}",
    summary="Describe a model (OpenAI-compatible)",
    responses=error_responses(NAMED, OpenAIErrorResponse),
)
async def model_of(name: str, state: StateDep) -> Model:
    """Return the model with this name."""
    return _model(state.models.find(name))


def _model(model: ServedModel) -> Model:
    return {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": "microgpt",
    }
