"""GET /v1/models: the served model, OpenAI-compatible."""

from datetime import datetime

from fastapi import APIRouter

from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.routes.openai.response_schemas import Model, Models, OpenAIErrorResponse
from microgpt_serve.served_model import ServedModel

router = APIRouter()


@router.get("/v1/models", summary="Describe the model, for clients of OpenAI's API")
async def models(state: StateDep) -> Models:
    """Return the model that is served."""
    return {"object": "list", "data": [_model(state.model)]}


@router.get(
    "/v1/models/{name:path}",
    summary="Describe the model by its name, for clients of OpenAI's API",
    responses={404: {"model": OpenAIErrorResponse, "description": "There is no such model."}},
)
async def model_of(name: str, state: StateDep) -> Model:
    """Return the model that is served, if it has this name."""
    model = state.model
    if name != model.name:
        message = f"there is no model {name!r:.80}; there is {model.name}"
        raise ServeError(404, message, field="model")
    return _model(model)


def _model(model: ServedModel) -> Model:
    created = datetime.fromisoformat(model.created_at).timestamp() if model.created_at else 0
    return {"id": model.name, "object": "model", "created": int(created), "owned_by": "microgpt"}
