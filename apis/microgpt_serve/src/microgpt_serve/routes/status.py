"""GET /health, /ready, /metrics, /microgpt/v1/model and /v1/models: the service and its models."""

import asyncio
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import Receive, Scope, Send

from microgpt.errors import ConfigError
from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import STATUS_DESCRIPTIONS, ServeError
from microgpt_serve.generation import run_steps
from microgpt_serve.routes.openai.response_schemas import Model, Models, OpenAIErrorResponse
from microgpt_serve.schemas import ErrorResponse, HealthResponse, ModelResponse, ReadyResponse
from microgpt_serve.served_model import ServedModel
from microgpt_serve.work_queue import one_step

WEIGHTS_PER_TOKEN = 1000  # packed into a file in the time that a small model needs for a token
PIECE = 2**16  # bytes of a file in memory for each client that reads slowly

router, openai_router = APIRouter(), APIRouter()
ModelName = Annotated[
    str | None, Query(alias="model", description="Name of the model. Default: the first one.")
]
NAMED: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorResponse, "description": "No model with this name is served."},
    503: {"model": ErrorResponse, "description": "The model could not be loaded."},
}


class InPieces(Response):
    """Response that is sent in pieces, each once the client has read most of the previous one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers, then the pieces."""
        body = self.body
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            for start in range(0, len(body), PIECE):
                end = start + PIECE
                part = {"body": body[start:end], "more_body": end < len(body)}
                await send({"type": "http.response.body", **part})
        except asyncio.CancelledError:  # the service shuts down while a slow client is reading
            scope["outcome"] = 499


@router.get("/health", summary="Liveness probe", responses=NAMED)
async def health(state: StateDep, name: ModelName = None) -> HealthResponse:
    """Return 200 while the process is running, and a model's name and version.

    Without a name, it is the first model that is loaded.
    """
    model = state.models.find(name) if name is not None else state.models.loaded[0]
    return HealthResponse(model=model.name, version=model.version)


@router.get(
    "/ready",
    summary="Readiness probe",
    responses={503: {"model": ErrorResponse, "description": STATUS_DESCRIPTIONS[503]}},
)
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


@router.get("/microgpt/v1/model", summary="Describe a model", responses=NAMED)
async def model(request: Request, state: StateDep, name: ModelName = None) -> ModelResponse:
    """Return a model's name, version, shape and vocabulary."""
    return state.model_of(request, name).description


@router.get(
    "/microgpt/v1/model.html",
    summary="A model in one HTML file",
    response_class=Response,
    responses={
        200: {"content": {"text/html": {}}, "description": "The file."},
        404: {
            "model": ErrorResponse,
            "description": "No such model, API keys, or a model too large for a file.",
        },
        **{
            code: {"model": ErrorResponse, "description": STATUS_DESCRIPTIONS[code]}
            for code in (503, 504)
        },
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
    if "html" not in vars(model):  # not yet cached
        n_tokens = model.gpt.num_params // WEIGHTS_PER_TOKEN
        try:
            await run_steps(state, request, one_step(lambda: model.html), n_tokens)
        except ConfigError as error:  # such as a model that is too large
            raise ServeError(404, str(error)) from error
    page = model.html
    file = quote(f"{model.name}.html", safe="")
    headers = {
        "Content-Disposition": f"attachment; filename*=utf-8''{file}",
        "X-Content-Type-Options": "nosniff",
    }
    return InPieces(page, media_type="text/html", headers=headers)


@router.get(
    "/microgpt/v1/engine.bin",
    summary="The engine for training in a browser",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "Facts and kernels."},
        404: {"model": ErrorResponse, "description": "It cannot be compiled here."},
        **{
            code: {"model": ErrorResponse, "description": STATUS_DESCRIPTIONS[code]}
            for code in (503, 504)
        },
    },
)
async def engine(request: Request, state: StateDep) -> Response:
    """Return the WebAssembly kernels with which the playground trains models.

    They do not depend on the served model. The first line is JSON with the sizes of the parts that
    follow.
    """
    from microgpt_serve.local_file import packed_engine  # most services never need it

    try:
        await run_steps(state, request, one_step(packed_engine), 1)
    except ConfigError as error:  # such as a missing compiler
        raise ServeError(404, str(error)) from error
    content = packed_engine()  # which is cached
    headers = {"Cache-Control": "no-cache", "ETag": f'"{sha256(content).hexdigest()[:16]}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return InPieces(content, media_type="application/octet-stream", headers=headers)


@openai_router.get("/v1/models", summary="List the models (OpenAI-compatible)")
async def models(state: StateDep) -> Models:
    """Return all models that are loaded."""
    return {"object": "list", "data": list(map(_model, state.models.loaded))}


@openai_router.get(
    "/v1/models/{name:path}",
    summary="Describe a model (OpenAI-compatible)",
    responses={
        404: {"model": OpenAIErrorResponse, "description": "No model with this name is served."},
        503: {"model": OpenAIErrorResponse, "description": "The model could not be loaded."},
    },
)
async def model_of(name: str, state: StateDep) -> Model:
    """Return the model with this name."""
    return _model(state.models.find(name))


def _model(model: ServedModel) -> Model:
    created = datetime.fromisoformat(model.created_at).timestamp() if model.created_at else 0
    return {"id": model.name, "object": "model", "created": int(created), "owned_by": "microgpt"}
