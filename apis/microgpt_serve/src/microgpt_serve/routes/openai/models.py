"""GET /v1/models: the model that is served, for clients of OpenAI's API."""

from datetime import datetime

from fastapi import APIRouter, Request

from microgpt_serve.errors import ServeError
from microgpt_serve.routes.openai.schemas import Model, Models, OpenAIErrorResponse
from microgpt_serve.service import service_of

router = APIRouter()


@router.get("/v1/models", summary="Describe the model, for clients of OpenAI's API")
async def models(request: Request) -> Models:
    """Return the model that is served."""
    return {"object": "list", "data": [_model(request)]}


@router.get(
    "/v1/models/{name:path}",
    summary="Describe the model by its name, for clients of OpenAI's API",
    responses={404: {"model": OpenAIErrorResponse, "description": "There is no such model."}},
)
async def model_of(name: str, request: Request) -> Model:
    """Return the model that is served, if it has this name."""
    model = _model(request)
    if name != model["id"]:
        raise ServeError(
            404, f"there is no model {name!r:.80}; there is {model['id']}", field="model"
        )
    return model


def _model(request: Request) -> Model:
    model = service_of(request).model
    created = datetime.fromisoformat(model.created_at).timestamp() if model.created_at else 0
    return {
        "id": model.name,
        "object": "model",
        "created": int(created),
        "owned_by": "microgpt",
    }
