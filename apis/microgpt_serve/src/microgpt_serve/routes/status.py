"""GET /health, /metrics and /v1/models: the service and its models."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from microgpt_serve.app_state import state_of
from microgpt_serve.routes.openai.response_schemas import ERRORS, Model, Models
from microgpt_serve.schemas import HealthResponse
from microgpt_serve.served_models import ServedModel

router = APIRouter(responses=ERRORS)
ModelName = Annotated[
    str | None, Query(alias="model", description="Name of the model. Default: the first one.")
]


@router.get("/health", openapi_extra={"security": []})
async def health(request: Request, name: ModelName = None) -> HealthResponse:
    """Return 200 while the process is running, and a model's name and version.

    If the service has an API key, a request without it learns only that the process is running.
    """
    if not request.scope.get("is_authorised", True):
        return {"status": "ok"}
    model = state_of(request).models.find(name)
    return {"status": "ok", "model": model.name, "version": model.version}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Return all metrics in the Prometheus text format."""
    text = generate_latest(state_of(request).metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


@router.get("/v1/models")
async def models(request: Request) -> Models:
    """Return all models."""
    return {"object": "list", "data": list(map(_model, state_of(request).models.values()))}


@router.get("/v1/models/{name:path}")
async def model(name: str, request: Request) -> Model:
    """Return the model with this name."""
    return _model(state_of(request).models.find(name))


def _model(model: ServedModel) -> Model:
    return {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": "microgpt",
    }
