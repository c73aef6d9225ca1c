"""Request and response models of /microgpt/v1/explain, shown at /docs."""

from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from microgpt.config import MAX_SIZE, N_ALTERNATIVES
from microgpt_serve.schemas import WHOLE_FLOAT, ChatMessage, Messages, RequestBody, example

MAX_EXPLAINED = 2**12  # maximum number of characters to explain
MAX_TOP, MAX_HEADS = 20, 64  # maximum number of alternatives per position, and of attention heads
MAX_NUMBERS = 2**20  # maximum number of attention weights in a response

Index = Annotated[int, Field(ge=0, le=MAX_SIZE), WHOLE_FLOAT]


class ExplainedMessage(ChatMessage):
    """A message to explain. Its content may be empty, such as that of a reply yet to come."""

    content: str

    model_config = ConfigDict(json_schema_extra={})

    @field_validator("content")
    @classmethod
    def _check_content(cls, content: str, info: ValidationInfo) -> str:
        return content


class ExplainRequest(RequestBody):
    """Request body of /microgpt/v1/explain. It has either a text or messages."""

    text: str | None = Field(
        None,
        max_length=MAX_EXPLAINED,
        description="Text; for a chat model, a message of the user.",
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

    model_config = example({"text": "queen", "top": 3})

    @model_validator(mode="after")
    def _check_text(self) -> Self:
        if (self.text is None) == (self.messages is None):
            raise ValueError("pass either text or messages")
        return self


class ExplainedAlternative(BaseModel):
    """A token that might have come."""

    token: int
    text: str
    probability: float


class ExplainedPrediction(BaseModel):
    """What the model predicted at one position, and what came."""

    token: int = Field(description="The token that came.")
    text: str = Field(description="Its text; special tokens have names, such as `<|user|>`.")
    probability: float = Field(description="Probability that the model gave to it.")
    bits: float = Field(description="Surprise: minus the binary logarithm of the probability.")
    entropy: float = Field(description="Entropy of all probabilities, in bits.")
    alternatives: list[ExplainedAlternative] = Field(
        description="The most likely tokens, in order."
    )


class ExplainResponse(BaseModel):
    """The predictions for a text, and some activations of the model."""

    bits: float = Field(
        description="Surprise at the whole text, including its end unless it is running text."
    )
    n_scored: int = Field(description="Number of predictions whose surprise counts.")
    predictions: list[ExplainedPrediction] = Field(
        description="The predictions in order. The last one is of the end; in running text, "
        "of what may come next, which does not count."
    )
    read: list[str] = Field(
        description="The tokens that the model reads: the start token, and all but the last."
    )
    attention: dict[str, list[list[float]]] = Field(
        description='Attention weights of each head, by "layer.head": row i is the weight of each '
        "token up to token i of `read`."
    )
    activations: dict[str, list[float] | list[list[float]]] = Field(
        description="Numbers of one position by name, in the order in which they are computed."
    )
    tokens_dropped: int | None = Field(
        None, description="Number of tokens in the dropped turns of a conversation."
    )
    unknown_characters: str | None = Field(
        None, description="Characters removed from a conversation."
    )
