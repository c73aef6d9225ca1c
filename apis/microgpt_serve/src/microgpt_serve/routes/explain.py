"""POST /microgpt/v1/explain: explain what the model predicts at each position of a text."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Self

from fastapi import APIRouter, Request
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import to_json
from starlette.responses import Response

from microgpt.config import MAX_SIZE, N_ALTERNATIVES
from microgpt.data.chat_truncation import ChatPrompt
from microgpt.data.tokenizer import IGNORED_ROLES, Document, Message
from microgpt.evaluation.edits import Edits, WeightEdit
from microgpt.evaluation.explanation import Prediction, explain_tokens, explained_tokens
from microgpt.steps import Steps
from microgpt_serve.app_state import AppState, StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_steps
from microgpt_serve.routes.body import JSON_TYPE, BodyRoute, json_steps
from microgpt_serve.routes.native import encode_messages
from microgpt_serve.schemas import (
    MAX_ALTERNATIVES,
    WHOLE_FLOAT,
    ChatMessage,
    Messages,
    RequestBody,
    example,
)
from microgpt_serve.served_model import ServedModel

router = APIRouter(route_class=BodyRoute)
MAX_EXPLAINED = 2**12  # maximum number of characters to explain
MAX_TOP, MAX_HEADS = 20, 64  # maximum number of alternatives per position, and of attention heads
MAX_NUMBERS = 2**20  # maximum number of attention weights in a response
MAX_EDITS, MAX_EDITED = 64, 2**22  # maximum number of edits of a kind, and of weights to copy
EDITED_PER_TOKEN = 2**12  # weights that are copied in the time that a token takes

Index = Annotated[int, Field(ge=0, le=MAX_SIZE), WHOLE_FLOAT]


class ExplainedMessage(ChatMessage):
    """A message to explain. Its content may be empty, for example in a reply that is to come."""

    content: str

    model_config = ConfigDict(json_schema_extra={})

    @field_validator("content")
    @classmethod
    def _check_content(cls, content: str, info: ValidationInfo) -> str:
        return content


class ChangedWeight(RequestBody):
    """A weight that becomes `factor * weight + value`, which is 0 if neither is given."""

    matrix: str = Field(description="Name of the matrix in weights.json, such as `wte`.")
    row: Index
    column: Index
    value: FiniteFloat = 0.0
    factor: FiniteFloat = 0.0


class ExplainRequest(RequestBody):
    """Request body of /microgpt/v1/explain. It has either a text or messages."""

    text: str | None = Field(
        None, max_length=MAX_EXPLAINED, description="Text; for a chat model, a user message."
    )
    messages: Messages[ExplainedMessage] | None = None
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

    without_heads: list[tuple[Index, Index]] = Field(
        [], max_length=MAX_EDITS, description="Layers and heads whose output is set to zero."
    )
    without_mlps: list[Index] = Field(
        [], max_length=MAX_EDITS, description="Layers whose MLP's output is set to zero."
    )
    without_positions: list[Index] = Field(
        [], max_length=MAX_EDITS, description="Positions whose embedding is set to zero."
    )
    weights: list[ChangedWeight] = Field(
        [], max_length=MAX_EDITS, description="Weights to change for this explanation."
    )

    model_config = example({"text": "queen", "top": 3})

    @model_validator(mode="after")
    def _check_text(self) -> Self:
        if (self.text is None) == (self.messages is None):
            raise ValueError("pass either text or messages")
        return self

    @property
    def edits(self) -> Edits:
        """The changes to the model."""
        weights = [
            WeightEdit(one.matrix, one.row, one.column, one.value, one.factor)
            for one in self.weights
        ]
        return Edits(self.without_heads, self.without_mlps, self.without_positions, weights)


class ExplainedAlternative(BaseModel):
    """One of the most likely tokens at a position."""

    token: int
    text: str
    probability: float


class ExplainedPrediction(BaseModel):
    """The prediction at one position, and the actual token."""

    token: int = Field(description="The actual token.")
    text: str = Field(description="Its text; a special token has a name, such as `<|user|>`.")
    probability: float = Field(description="Probability that the model gave to the token.")
    bits: float = Field(description="Surprise: minus the binary logarithm of the probability.")
    entropy: float = Field(description="Entropy of the predicted distribution, in bits.")
    alternatives: list[ExplainedAlternative] = Field(
        description="The most likely tokens, in order."
    )


class ExplainResponse(BaseModel):
    """The predictions for a text, and some activations of the model."""

    bits: float = Field(
        description="Total surprise in bits, including the end, except for running text."
    )
    n_scored: int = Field(description="Number of predictions that are included in `bits`.")
    predictions: list[ExplainedPrediction] = Field(
        description="The predictions in order. The last one is for the end of the text; for "
        "running text, it is for the next token and not included in `bits`."
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
    model = state.model
    document, prompt = await _document(body, request, state)
    n_characters = len(document if isinstance(document, str) else _joined(document))
    steps = _steps(body, model, document, prompt)
    n_tokens = (1 + n_characters) * (1 + body.top // 4)  # four likely tokens take as long as one
    n_tokens += _n_weights(body, model, n_characters) // 256  # and so do 256 attention weights
    if body.edits:
        n_tokens += model.gpt.num_params // EDITED_PER_TOKEN
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
    gpt = model.gpt
    if body.edits:
        if gpt.num_params > MAX_EDITED:
            message = (
                f"the model is too large to change it: it has more than {MAX_EDITED:,} weights"
            )
            raise ServeError(400, message)
        gpt = gpt.edited(body.edits)
        gpt.compiled.max_at_once = model.gpt.compiled.max_at_once
        yield
    encoded: list[bytes] = []

    def encode(prediction: Prediction) -> Prediction:  # fewer objects to collect
        encoded.append(to_json(prediction))
        return replace(prediction, alternatives=())

    explanation = yield from explain_tokens(
        gpt,
        tokens,
        n_alternatives=body.top,
        attention=body.attention,
        position=body.position,
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


async def _document(
    body: ExplainRequest, request: Request, state: AppState
) -> tuple[Document, ChatPrompt | None]:
    """Return the text, or the conversation as the model reads it and the prompt of its reply."""
    if body.messages is None:
        assert body.text is not None
        return body.text, None
    messages = [one for one in body.messages if one.role not in IGNORED_ROLES]
    reply = []
    if messages and messages[-1].role == "assistant":
        reply.append(Message("assistant", messages.pop().content))
    prompt = await encode_messages(messages, state.model, request, state)
    document = [*prompt.messages, *reply]
    n_characters = len(_joined(document))
    if n_characters > MAX_EXPLAINED:
        message = f"messages have {n_characters} characters; at most {MAX_EXPLAINED} are allowed"
        raise ServeError(400, message, field="messages")
    return document, prompt


def _joined(messages: Sequence[Message]) -> str:
    return "".join(message.content for message in messages)
