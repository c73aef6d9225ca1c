"""Request and response models of microgpt's own API, shown at /docs."""

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic.config import JsonDict
from typing_extensions import TypedDict

from microgpt import DEFAULT_SEED, MAX_SEED, MAX_SIZE, FinishReason, Sampling
from microgpt_serve.errors import int_if_whole

MAX_SAMPLES = 50
MAX_NEW_TOKENS = 2**14  # maximum number of new tokens per sample or reply
MAX_MESSAGES = 2048  # as in OpenAI's API
MAX_CHARACTERS = 2**17  # maximum number of characters in a prompt or in all messages of a chat
MAX_PROMPT_COPIES = 2**20  # maximum number of characters of the prompt in all samples

NEW_TOKENS = "Maximum number of new tokens. Default: as many as fit in the context."
HELP = {setting.name: setting.metadata["help"] for setting in fields(Sampling)}
Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False, description=HELP["temperature"])]
# Accepts 5.0 as 5. This must be the last annotation; otherwise, the schema lacks the limits.
WHOLE_FLOAT = BeforeValidator(int_if_whole)
Count = Annotated[int, Field(ge=1, le=MAX_SIZE), WHOLE_FLOAT]
Probability = Annotated[float, Field(ge=0, le=1)]
TopK = Annotated[Count | None, Field(description=HELP["top_k"])]
TopP = Annotated[Probability | None, Field(description=HELP["top_p"])]
# Notes in responses about what the model has not read.
TokensDropped = Annotated[
    int, Field(description="Number of tokens dropped from the start to fit into the context.")
]
UnknownCharacters = Annotated[
    str, Field(description="Characters removed because they are not in the vocabulary.")
]
Version = Annotated[
    str, Field(description="First 12 hexadecimal digits of the SHA-256 of the weights.")
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

    role: Literal["user", "assistant", "system", "developer"]
    content: str

    @field_validator("content")
    @classmethod
    def _check_content(cls, content: str, info: ValidationInfo) -> str:
        if info.data.get("role") == "user" and not content.strip():
            raise ValueError("content must not be empty")
        return content


@lru_cache  # to check the settings takes as long as to parse a request
def sampling_of(**given: Any) -> Sampling:
    """Return sampling settings; None is the default."""
    return Sampling(**{name: value for name, value in given.items() if value is not None})


class Wanted(NamedTuple):
    """What a request asks for, besides its prompt or messages."""

    model: str | None
    n: int
    sampling: Sampling
    max_tokens: int | None
    seed: int
    stop: Sequence[str] = ()


class OwnRequest(RequestBody):
    """Fields that microgpt's own requests share."""

    model: str | None = Field(None, description="Name of the model. Default: the first one.")
    temperature: Temperature = Sampling.temperature
    seed: Annotated[int, Field(ge=0, lt=MAX_SEED + 1), WHOLE_FLOAT] = Field(
        DEFAULT_SEED,
        description="Random seed; the same seed gives the same text. Sample i has the seed plus i.",
    )
    max_tokens: Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS), WHOLE_FLOAT] | None = Field(
        None, description=NEW_TOKENS
    )


class GenerateRequest(OwnRequest):
    """Request body of /microgpt/v1/generate."""

    num_samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES), WHOLE_FLOAT] = 1
    prompt: str = Field(
        "", max_length=MAX_CHARACTERS, description="Prompt; every sample starts with this text."
    )
    top_k: TopK = None
    top_p: TopP = None

    model_config = example({"num_samples": 5, "temperature": 0.5, "seed": 42})

    def wanted(self) -> Wanted:
        """Return what the request asks for."""
        sampling = sampling_of(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p)
        return Wanted(self.model, self.num_samples, sampling, self.max_tokens, self.seed)


class GenerateResponse(BaseModel):
    """Generated texts, each including the prompt."""

    samples: list[str]
    tokens_dropped: TokensDropped | None = None

    model_config = example({"samples": ["kamon", "ann"]})


class ChatRequest(OwnRequest):
    """Request body of /microgpt/v1/chat."""

    messages: Messages[ChatMessage]

    model_config = example({"messages": [{"role": "user", "content": "hello"}]})

    def wanted(self) -> Wanted:
        """Return what the request asks for."""
        sampling = sampling_of(temperature=self.temperature)
        return Wanted(self.model, 1, sampling, self.max_tokens, self.seed)


class ChatResponse(BaseModel):
    """The assistant's reply."""

    role: Literal["assistant"] = "assistant"
    content: str
    tokens_dropped: TokensDropped
    unknown_characters: UnknownCharacters
    finish_reason: FinishReason = Field(
        description="`stop`: the model ended the reply. `length`: max_tokens was reached or the "
        "context is full."
    )


class HealthResponse(TypedDict):
    """A model that is served, and its version; neither without the key of the service."""

    status: Literal["ok"]
    model: NotRequired[str]
    version: NotRequired[Version]
