"""POST /microgpt/v1/explain: explain what the model predicts at each position of a text."""

from fastapi import APIRouter, Request

from microgpt.data.tokenizer import IGNORED_ROLES, Document, Message
from microgpt.evaluation.explanation import explain as explain_document
from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.explain_schemas import (
    MAX_EXPLAINED,
    MAX_NUMBERS,
    ExplainRequest,
    ExplainResponse,
)
from microgpt_serve.routes.body import BodyRoute

router = APIRouter(route_class=BodyRoute)


@router.post("/microgpt/v1/explain", summary="Explain the predictions for a text")
async def explain(body: ExplainRequest, request: Request, state: StateDep) -> ExplainResponse:
    """Return the probability of each token of a text, and the most likely tokens instead of it.

    On request, also return attention weights and all activations of one position.
    """
    gpt, text_kind = state.model.gpt, state.model.text
    document = _document(body)
    n = 1 + gpt.tokenizer.count_tokens(document)
    n_numbers = len(body.attention) * min(n, gpt.config.block_size) ** 2 // 2
    if n_numbers > MAX_NUMBERS:
        message = f"{n_numbers:,} attention weights are too many; ask for fewer heads"
        raise ServeError(400, message, field="attention")
    explanation = await state.call(
        lambda: explain_document(
            gpt,
            document,
            n_alternatives=body.top,
            attention=body.attention,
            position=body.position,
            text_kind=text_kind,
        ),
        is_slow=True,
    )
    return ExplainResponse.model_validate(explanation.facts())


def _document(body: ExplainRequest) -> Document:
    """Return the text, or the conversation without system messages."""
    if body.text is not None:
        return body.text
    assert body.messages is not None
    n_characters = sum(len(message.content) for message in body.messages)
    if n_characters > MAX_EXPLAINED:
        message = f"messages have {n_characters} characters; at most {MAX_EXPLAINED} are allowed"
        raise ServeError(400, message, field="messages")
    return [
        Message(one.role, one.content)  # type: ignore[arg-type]
        for one in body.messages
        if one.role not in IGNORED_ROLES
    ]
