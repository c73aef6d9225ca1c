"""GET /metrics: for Prometheus."""

from fastapi import APIRouter, Request, Response

from microgpt_serve.service import service_of

router = APIRouter()


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Return all metrics in Prometheus's text format."""
    content, content_type = service_of(request).metrics.text()
    return Response(content, media_type=content_type)
