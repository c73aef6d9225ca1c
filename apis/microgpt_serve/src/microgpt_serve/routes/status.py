"""GET /health, /ready, /metrics, /microgpt/v1/model and /v1/models: the service and its models."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from hashlib import sha256
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import StreamingResponse

from microgpt.errors import ConfigError
from microgpt_serve.app_state import AppState, StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_steps
from microgpt_serve.routes.openai.response_schemas import Model, Models, OpenAIErrorResponse
from microgpt_serve.schemas import (
    HealthResponse,
    ModelResponse,
    ReadyResponse,
    error_responses,
)
from microgpt_serve.served_model import ServedModel
from microgpt_serve.work_queue import one_step

WEIGHTS_PER_TOKEN = 1000  # packed into a file in the time that a small model needs for a token
PIECE = 2**16  # bytes of a file in memory for each client that reads slowly

router, openai_router = APIRouter(), APIRouter()
ModelName = Annotated[
    str | None, Query(alias="model", description="Name of the model. Default: the first one.")
]
NAMED = {404: "No model with this name is served.", 503: "The model could not be loaded."}


@router.get("/health", summary="Liveness probe", responses=error_responses(NAMED))
async def health(state: StateDep, name: ModelName = None) -> HealthResponse:
    """Return 200 while the process is running, and a model's name and version.

    Without a name, it is the first model that is loaded.
    """
    model = state.models.find(name) if name is not None else state.models.loaded[0]
    return HealthResponse(model=model.name, version=model.version)


@router.get("/ready", summary="Readiness probe", responses=error_responses([503]))
async def ready(state: StateDep) -> ReadyResponse:
    """Return 200, or 503 if the service is shutting down.

    `failed` names the models that could not be loaded. The others are ready.
    """
    state.check_open()
    return ReadyResponse(failed=sorted(state.models.failed))


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(state: StateDep) -> Response:
    """Return all metrics in the Prometheus text format."""
    return Response(state.metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


@router.get("/microgpt/v1/model", summary="Describe a model", responses=error_responses(NAMED))
async def model(request: Request, state: StateDep, name: ModelName = None) -> ModelResponse:
    """Return a model's name, version, shape and vocabulary."""
    return state.model_of(request, name).description


@router.get(
    "/microgpt/v1/model.html",
    summary="A model in one HTML file",
    response_class=Response,
    responses={
        200: {"content": {"text/html": {}}, "description": "The file."},
        **error_responses({404: "No such model, API keys, or a model too large for a file."}),
        **error_responses([503, 504]),
    },
)
async def model_file(request: Request, state: StateDep, name: ModelName = None) -> Response:
    """Return a page with a model and the engine, which works without a network.

    `microgpt export --format html` writes the same file. A service with API keys refuses this
    request.
    """
    model = state.model_of(request, name)
    if state.settings.has_keys:
        raise ServeError(404, "this service requires API keys, so its model cannot be downloaded")
    n_tokens = model.gpt.num_params // WEIGHTS_PER_TOKEN
    page = vars(model).get("html") or await _packed(lambda: model.html, n_tokens, request, state)
    file = quote(f"{model.name}.html", safe="")
    headers = {
        "Content-Disposition": f"attachment; filename*=utf-8''{file}",
        "X-Content-Type-Options": "nosniff",
    }
    return in_pieces(page, "text/html", headers)


@router.get(
    "/microgpt/v1/engine.bin",
    summary="The engine for training in a browser",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "Facts and kernels."},
        **error_responses({404: "It cannot be compiled here."}),
        **error_responses([503, 504]),
    },
)
async def engine(request: Request, state: StateDep) -> Response:
    """Return the WebAssembly kernels with which the playground trains models.

    They do not depend on the served model. The first line is JSON with the sizes of the parts that
    follow.
    """
    from microgpt_serve.local_file import packed_engine  # most services never need it

    content = await _packed(packed_engine, 1, request, state)
    headers = {"Cache-Control": "no-cache", "ETag": f'"{sha256(content).hexdigest()[:16]}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return in_pieces(content, "application/octet-stream", headers)


async def _packed(
    pack: Callable[[], bytes], n_tokens: int, request: Request, state: AppState
) -> bytes:
    """Return a file that is made in a thread; if it cannot be made, the status is 404."""
    try:
        return await run_steps(state, request, one_step(pack), n_tokens)
    except ConfigError as error:  # such as a model that is too large, or a missing compiler
        raise ServeError(404, str(error)) from error


def in_pieces(content: bytes, media_type: str, headers: dict[str, str]) -> StreamingResponse:
    """Return a response that sends each piece once the client has read most of the previous one."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), PIECE):
            yield content[start : start + PIECE]

    headers["Content-Length"] = str(len(content))
    return StreamingResponse(pieces(), media_type=media_type, headers=headers)


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
    created = datetime.fromisoformat(model.created_at).timestamp() if model.created_at else 0
    return {"id": model.name, "object": "model", "created": int(created), "owned_by": "microgpt"}
