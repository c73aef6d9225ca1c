"""Request and response models of microgpt's own API, shown at /docs."""

from functools import lru_cache
from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic.config import JsonDict

from microgpt import (
    DEFAULT_SEED,
    IGNORED_ROLES,
    MAX_SEED,
    MAX_SIZE,
    ROLES,
    FinishReason,
    Sampling,
    printable,
)
from microgpt_serve.errors import MAX_SHOWN, int_if_whole

ALL_ROLES = (*ROLES, *IGNORED_ROLES)
MAX_SAMPLES = 50
MAX_NEW_TOKENS = 2**14  # maximum number of new tokens per sample or reply
MAX_MESSAGES = 2048  # as in OpenAI's API
MAX_CHARACTERS = 2**17  # maximum number of characters in a prompt or in all messages of a chat
MAX_PROMPT_COPIES = 2**20  # maximum number of characters of the prompt in all samples

Temperature = Annotated[
    float,
    Field(
        ge=0,
        allow_inf_nan=False,
        description="Sampling temperature; 0 always selects the most likely token.",
    ),
]
# Accepts 5.0 as 5. This must be the last annotation; otherwise, the schema lacks the limits.
WHOLE_FLOAT = BeforeValidator(int_if_whole)
Seed = Annotated[int, Field(ge=0, lt=MAX_SEED + 1), WHOLE_FLOAT]  # floats represent 2^63 exactly
Count = Annotated[int, Field(ge=1, le=MAX_SIZE), WHOLE_FLOAT]
MaxTokens = Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS), WHOLE_FLOAT]
Probability = Annotated[float, Field(ge=0, le=1)]
TopK = Annotated[Count | None, Field(description="Sample only from the k most likely tokens.")]
TopP = Annotated[
    Probability | None,
    Field(
        description="Nucleus sampling: sample from the smallest set of tokens with this total "
        "probability."
    ),
]
Message = TypeVar("Message")
Messages = Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)]


def example(body: JsonDict) -> ConfigDict:
    """Return the configuration of a pydantic model, with an example of its JSON."""
    return ConfigDict(json_schema_extra={"examples": [body]})


class RequestBody(BaseModel):
    """Base class of request bodies. Rejects unknown fields instead of silently ignoring them."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ChatMessage(RequestBody):
    """A message of a conversation."""

    role: str = Field(json_schema_extra={"enum": [*ALL_ROLES]})
    content: str

    @field_validator("role")
    @classmethod
    def _check_role(cls, role: str) -> str:
        if role not in ALL_ROLES:
            shown = printable(role, MAX_SHOWN)
            raise ValueError(f'unknown role "{shown}"; use {" or ".join(ROLES)}')
        return role

    @field_validator("content")
    @classmethod
    def _check_content(cls, content: str, info: ValidationInfo) -> str:
        if info.data.get("role") == "user" and not content.strip():
            raise ValueError("content must not be empty")
        return content


class ModelChoice(RequestBody):
    """The model that a request is for."""

    model: str | None = Field(None, description="Name of the model. Default: the first one.")


@lru_cache  # to check the settings takes as long as to parse a request
def sampling_of(
    temperature: float | None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
) -> Sampling:
    """Return sampling settings; None is the default."""
    given = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    return Sampling(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


class GenerateRequest(ModelChoice):
    """Request body of /microgpt/v1/generate."""

    num_samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES), WHOLE_FLOAT] = 1
    temperature: Temperature = Sampling.temperature
    seed: Seed = Field(
        DEFAULT_SEED,
        description="Seed of the first sample; incremented by 1 for each further sample.",
    )
    max_tokens: MaxTokens | None = Field(
        None, description="Maximum number of new tokens. Default: as many as fit in the context."
    )
    prompt: str = Field(
        "", max_length=MAX_CHARACTERS, description="Prompt; every sample starts with this text."
    )
    top_k: TopK = None
    top_p: TopP = None

    model_config = example({"num_samples": 5, "temperature": 0.5, "seed": 42})


class GenerateResponse(BaseModel):
    """Generated texts, each including the prompt."""

    samples: list[str]
    tokens_dropped: int | None = Field(
        None,
        description="Number of tokens dropped from the start of a prompt longer than the context.",
    )

    model_config = example({"samples": ["kamon", "ann"]})


class ChatRequest(ModelChoice):
    """Request body of /microgpt/v1/chat."""

    messages: Messages[ChatMessage]
    temperature: Temperature = Sampling.temperature
    seed: Seed = Field(DEFAULT_SEED, description="Random seed; the same seed gives the same reply.")
    max_tokens: MaxTokens | None = Field(
        None,
        description="Maximum number of tokens in the reply. Default: as many as fit in the "
        "context.",
    )

    model_config = example({"messages": [{"role": "user", "content": "hello"}]})


class ChatResponse(BaseModel):
    """The assistant's reply."""

    role: Literal["assistant"] = "assistant"
    content: str
    tokens_dropped: int = Field(
        description="Number of tokens in the turns that were dropped to fit the context."
    )
    unknown_characters: str = Field(
        description="Characters removed because they are not in the vocabulary."
    )
    finish_reason: FinishReason = Field(
        description="`stop`: the model ended the reply. `length`: max_tokens was reached or the "
        "context is full."
    )


class HealthResponse(BaseModel):
    """A model that is served, and its version; neither without the key of the service."""

    status: Literal["ok"] = "ok"
    model: str | None = None
    version: str | None = Field(
        None, description="First 12 hexadecimal digits of the SHA-256 of the weights."
    )


class ErrorResponse(BaseModel):
    """Error response. The message describes the problem and how to fix it."""

    error: str

    model_config = example({"error": "temperature must be >= 0, got -0.5"})
