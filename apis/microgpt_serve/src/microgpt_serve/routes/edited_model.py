"""Apply the changes of a request to the model."""

from dataclasses import replace

from fastapi import Request

from microgpt.evaluation.edits import Edits, WeightEdit
from microgpt.inference import InferenceGpt
from microgpt.steps import Steps
from microgpt_serve.app_state import AppState
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_steps
from microgpt_serve.routes.documents import document_of
from microgpt_serve.schemas import EditableModel
from microgpt_serve.served_model import ServedModel

CHANGES = EditableModel.__annotations__.keys()
MAX_EDITED = 2**22  # maximum number of weights to copy
EDITED_PER_TOKEN = 2**12  # weights that are copied in the time that a token takes


async def edited_model(body: EditableModel, request: Request, state: AppState) -> ServedModel:
    """Return the model of a request, with the changes that it asks for."""
    model = state.model_of(request, body.model)
    if not body.model_fields_set & CHANGES:
        return model
    edits = Edits(
        body.without_heads,
        body.without_mlps,
        body.without_positions,
        [WeightEdit(*vars(one).values()) for one in body.weights],
        [(await document_of(one, model, request, state))[0] for one in body.learn],
        [i for i, one in enumerate(body.learn) if one.unfinished],
    )
    if not edits:
        return model
    check_editable(model)
    n_tokens = n_weights_in_tokens(model) * (1 + 4 * len(body.learn))
    return replace(model, gpt=await run_steps(state, request, _steps(model.gpt, edits), n_tokens))


def _steps(gpt: InferenceGpt, edits: Edits) -> Steps[InferenceGpt]:
    for i, text in enumerate(edits.learn):
        gpt = gpt.edited(Edits(learn=[text], unfinished=[0] if i in edits.unfinished else []))
        yield
    return gpt.edited(replace(edits, learn=(), unfinished=()))


def check_editable(model: ServedModel) -> None:
    """Raise an error if a model has too many weights to be changed or explained."""
    if model.gpt.num_params > MAX_EDITED:
        message = f"the model is too large to change it: it has more than {MAX_EDITED:,} weights"
        raise ServeError(400, message)


def n_weights_in_tokens(model: ServedModel) -> int:
    """Return the work of copying all weights, in tokens."""
    return model.gpt.num_params // EDITED_PER_TOKEN
