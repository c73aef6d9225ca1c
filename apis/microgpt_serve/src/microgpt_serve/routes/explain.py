"""POST /microgpt/v1/explain: explain what the model predicts at each position of a text."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.responses import Response

from microgpt.config import N_ALTERNATIVES
from microgpt.data.chat_truncation import ChatPrompt
from microgpt.data.tokenizer import Document
from microgpt.evaluation.ablation import Ablation
from microgpt.evaluation.backward import Backward
from microgpt.evaluation.explanation import Prediction, explain_tokens
from microgpt.evaluation.predictor import explained_tokens
from microgpt.steps import Steps
from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_steps
from microgpt_serve.routes.body import JSON_TYPE, BodyRoute, json_steps
from microgpt_serve.routes.documents import document_of, joined
from microgpt_serve.routes.edited_model import check_editable, edited_model, n_weights_in_tokens
from microgpt_serve.schemas import (
    MAX_ALTERNATIVES,
    WHOLE_FLOAT,
    EditableModel,
    ExplainedDocument,
    Index,
    example,
)
from microgpt_serve.served_model import ServedModel

router = APIRouter(route_class=BodyRoute)
MAX_TOP, MAX_HEADS = 20, 64  # maximum number of alternatives per position, and of attention heads
MAX_NUMBERS = 2**20  # maximum number of attention weights in a response


class ExplainRequest(ExplainedDocument, EditableModel):
    """Request body of /microgpt/v1/explain. It has either a text or messages."""

    top: Annotated[int, Field(ge=0, le=MAX_TOP), WHOLE_FLOAT] = Field(
        N_ALTERNATIVES, description="Number of most likely tokens at each position."
    )
    attention: list[tuple[Index, Index]] = Field(
        [],
        max_length=MAX_HEADS,
        description="Layers and heads, counted from 0, whose attention weights are returned.",
    )
    position: int | None = Field(
        None,
        description="Index of the prediction whose activations are returned; negative values count "
        "from the end.",
    )
    ablations: bool = Field(
        False, description="Also return what changes without each head and each MLP."
    )
    backward: tuple[str, Index, Index] | None = Field(
        None,
        description="Matrix, row and column of a weight; also return the gradients of a training "
        "step on the text, and what the step changes.",
    )

    model_config = example({"text": "queen", "top": 3})


class ExplainResponse(BaseModel):
    """The predictions for a text, and some activations of the model."""

    bits: float = Field(
        description="Total surprise in bits, including the end, except for running text."
    )
    n_scored: int = Field(description="Number of predictions that are included in `bits`.")
    predictions: list[Prediction] = Field(
        description="For each token of the text, in order: its probability and surprise, the "
        "entropy of all probabilities in bits, and the most likely tokens. The last one is for the "
        "end of the text; for running text, it is for the next token and not included in `bits`."
    )
    read: list[str] = Field(
        description="The tokens that the model reads: the start token, then all but the last token."
    )
    attention: dict[str, list[list[float]]] = Field(
        description='Attention weights of each head, by "layer.head": row i holds the weights of '
        "tokens 0 to i of `read`."
    )
    activations: dict[str, list[float] | list[list[float]]] = Field(
        description="Activations at one position by name, in the order of their computation."
    )
    ablations: list[Ablation] = Field(
        description="The effect of each head and, with `head` null, of each MLP, by layer."
    )
    backward: Backward | dict[str, None] = Field(
        description="Gradients and moves of a training step; see docs/explain.md. Empty by default."
    )
    tokens_dropped: int | None = Field(
        None, description="Number of tokens in the dropped turns of a conversation."
    )
    unknown_characters: str | None = Field(
        None, description="Characters removed from a conversation."
    )


@router.post(
    "/microgpt/v1/explain",
    summary="Explain the predictions for a text",
    response_model=ExplainResponse,
)
async def explain(body: ExplainRequest, request: Request, state: StateDep) -> Response:
    """Return the probability of each token of a text, and the most likely tokens at its position.

    A conversation is truncated as in a chat: if it does not fit into the context, the oldest turns
    are dropped. Characters outside the vocabulary are removed, except from the last reply. On
    request, also return attention weights and all activations of one position.
    """
    model = await edited_model(body, request, state)
    document, prompt = await document_of(body, model, request, state)
    n_characters = len(joined(document))
    steps = _steps(body, model, document, prompt)
    n_tokens = (1 + n_characters) * (1 + body.top // 4)  # four likely tokens take as long as one
    n_tokens += _n_weights(body, model, n_characters) // 256  # and so do 256 attention weights
    if body.ablations or body.backward:
        check_editable(model)
    if body.ablations:
        n_parts = model.gpt.config.n_layer * (1 + model.gpt.config.n_head)
        n_tokens += n_parts * (n_characters + n_weights_in_tokens(model))
    if body.backward:
        n_tokens += n_weights_in_tokens(model)
    content = await run_steps(state, request, steps, n_tokens)
    return Response(content, media_type=JSON_TYPE)


def _steps(
    body: ExplainRequest, model: ServedModel, document: Document, prompt: ChatPrompt | None
) -> Steps[bytes]:
    tokens = explained_tokens(model.gpt.tokenizer, document)
    n = len(tokens) - 1
    if n * body.top > MAX_ALTERNATIVES:
        message = f"top must be <= {MAX_ALTERNATIVES // n} for {n} tokens, got {body.top}"
        raise ServeError(400, message, field="top")
    n_numbers = _n_weights(body, model, n)
    if n_numbers > MAX_NUMBERS:
        message = f"{n_numbers:,} attention weights are too many; ask for fewer heads"
        raise ServeError(400, message, field="attention")
    encoded: list[bytes] = []

    def encode(prediction: Prediction) -> Prediction:  # fewer objects to collect
        encoded.append(to_json(prediction))
        return replace(prediction, alternatives=())

    explanation = yield from explain_tokens(
        model.gpt,
        tokens,
        n_alternatives=body.top,
        attention=body.attention,
        position=body.position,
        ablations=body.ablations,
        backward=body.backward,
        unfinished=body.unfinished,
        has_end=model.text == "lines",
        change=encode,
    )
    facts = {**explanation.facts(), "predictions": b"[%b]" % b",".join(encoded)}
    if prompt:
        facts["tokens_dropped"] = prompt.tokens_dropped or None
        facts["unknown_characters"] = prompt.unknown_characters or None
    return (yield from json_steps(facts))


def _n_weights(body: ExplainRequest, model: ServedModel, n_tokens: int) -> int:
    """Return the number of attention weights in the response to a request for n_tokens tokens."""
    return len(body.attention) * min(n_tokens, model.gpt.config.block_size) ** 2 // 2
