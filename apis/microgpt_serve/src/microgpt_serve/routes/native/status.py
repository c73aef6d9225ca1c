"""GET /health, /ready, /metrics and /microgpt/v1/model: the state of the service."""

from dataclasses import asdict

from fastapi import APIRouter, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from microgpt.data.folding import FoldingTokenizer
from microgpt.data.tokenizer_io import chars_of
from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import STATUS_DESCRIPTIONS
from microgpt_serve.schemas import ErrorResponse, HealthResponse, ModelResponse, ReadyResponse

router = APIRouter()


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
    served, gpt = state.model, state.model.gpt
    return ModelResponse(
        name=served.name,
        version=served.version,
        chat=gpt.tokenizer.is_chat,
        num_params=gpt.num_params,
        **asdict(gpt.config),
        dtype=gpt.compiled.dtype,
        tokenizer=gpt.tokenizer.kind,
        characters="".join(chars_of(gpt.tokenizer) or ()),
        fold=isinstance(gpt.tokenizer, FoldingTokenizer),
        created_at=served.created_at,
        progress=served.progress,
    )
