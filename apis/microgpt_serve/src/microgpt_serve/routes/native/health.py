"""GET /health and /ready: whether the process lives, and whether it takes requests."""

from fastapi import APIRouter, Request

from microgpt_serve.errors import MEANINGS
from microgpt_serve.schemas import ErrorResponse, HealthResponse, ReadyResponse
from microgpt_serve.service import service_of

router = APIRouter()


@router.get("/health", summary="Does the process live?")
async def health(request: Request) -> HealthResponse:
    """Return the model's name and version, as long as the process lives."""
    model = service_of(request).model
    return HealthResponse(model=model.name, version=model.version)


@router.get(
    "/ready",
    summary="Does it take requests?",
    responses={503: {"model": ErrorResponse, "description": MEANINGS[503]}},
)
async def ready(request: Request) -> ReadyResponse:
    """Return 200, or 503 once the service is shutting down."""
    service_of(request).check_open()
    return ReadyResponse()
