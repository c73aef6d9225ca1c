"""GET /v1/models: list and describe the served model (OpenAI-compatible)."""

from datetime import datetime

from fastapi import APIRouter

from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.routes.openai.response_schemas import Model, Models, OpenAIErrorResponse
from microgpt_serve.served_model import ServedModel

router = APIRouter()


@router.get("/v1/models", summary="List the models (OpenAI-compatible)")
async def models(state: StateDep) -> Models:
    """Return a list that contains only the served model."""
    return {"object": "list", "data": [_model(state.model)]}


@router.get(
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
