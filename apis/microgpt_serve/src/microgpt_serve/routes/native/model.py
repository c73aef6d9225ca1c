"""GET /microgpt/v1/model: what is served."""

from dataclasses import asdict

from fastapi import APIRouter, Request

from microgpt.data.tokenizer_io import chars_of
from microgpt_serve.schemas import ModelResponse
from microgpt_serve.service import service_of

router = APIRouter()


@router.get("/microgpt/v1/model", summary="Describe the model")
async def model(request: Request) -> ModelResponse:
    """Return the model's name, version, shape and alphabet."""
    served = service_of(request).model
    gpt = served.gpt
    shape = asdict(gpt.config)
    del shape["init_std"]
    return ModelResponse(
        name=served.name,
        version=served.version,
        chat=gpt.tokenizer.is_chat,
        num_params=gpt.num_params,
        **shape,
        dtype=gpt.compiled.dtype,
        tokenizer=gpt.tokenizer.kind,
        characters="".join(chars_of(gpt.tokenizer) or ()),
        created_at=served.created_at,
    )
