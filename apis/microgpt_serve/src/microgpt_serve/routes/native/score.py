"""POST /microgpt/v1/score: how much texts surprise the model."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from microgpt.evaluation.scoring import Scorer
from microgpt.steps import Steps
from microgpt.storage.calibration_file import Calibration
from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_steps
from microgpt_serve.routes.body import JSON_TYPE, BodyRoute
from microgpt_serve.routes.json_steps import json_steps
from microgpt_serve.schemas import MAX_CHARACTERS, ScoreRequest, ScoreResponse, TextScore

router = APIRouter(route_class=BodyRoute)


@router.post("/microgpt/v1/score", summary="Score texts", response_model=ScoreResponse)
async def score(body: ScoreRequest, request: Request, state: StateDep) -> Response:
    """Return how much each text surprises the model, in bits per character.

    The same as `microgpt score`. If the model is calibrated, also return percentiles.
    """
    model = state.model
    if (scorer := model.scorer) is None:
        raise ServeError(400, "a chat model cannot score texts; serve a model trained on texts")
    n_characters = sum(map(len, body.texts))
    if n_characters > MAX_CHARACTERS:
        message = f"texts have {n_characters} characters; at most {MAX_CHARACTERS} are allowed"
        raise ServeError(400, message, field="texts")
    steps = _steps(scorer, model.calibration, body)
    content = await run_steps(state, request, steps, n_characters + len(body.texts))
    return Response(content, media_type=JSON_TYPE)


def _steps(scorer: Scorer, calibration: Calibration | None, body: ScoreRequest) -> Steps[bytes]:
    """Compute and encode the scores."""
    scores = yield from scorer.steps(body.texts)
    response = [
        TextScore.model_construct(
            bits_per_character=one.bits_per_character,
            bits=one.bits,
            n_unknown=one.n_unknown,
            percentile=calibration.percentile(one.bits_per_character) if calibration else None,
            character_bits=one.character_bits.tolist() if body.characters else None,
        )
        for one in scores
    ]
    return (yield from json_steps({"scores": response}))
