"""Request and response models of microgpt's own API, as shown at /docs."""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic.config import JsonDict
from pydantic.json_schema import WithJsonSchema

from microgpt.config import DEFAULT_SEED, DEFAULT_TEMPERATURE, MAX_SEED, MAX_SIZE, Sampling
from microgpt.data.tokenizer import ROLES
from microgpt.printable import printable
from microgpt.sampling import FinishReason
from microgpt_serve.errors import MAX_SHOWN, without_point

MAX_SAMPLES = 50
MAX_MESSAGES = 4096
MAX_CHARACTERS = 2**17  # per prompt, or over all messages

Temperature = Annotated[
    float,
    Field(ge=0, allow_inf_nan=False, description="0 takes the likeliest, 1 follows the odds."),
]
WHOLE = BeforeValidator(without_point)  # accepts 5.0; must be last, or the schema loses the limits
Seed = Annotated[
    int,
    Field(ge=0, le=MAX_SEED),
    WHOLE,
    WithJsonSchema(  # a power of two, which parsers that use floats represent exactly
        {
            "type": "integer",
            "minimum": 0,
            "exclusiveMaximum": MAX_SEED + 1,
            "description": "Same seed, same text.",
        }
    ),
]
Count = Annotated[int, Field(ge=1, le=MAX_SIZE), WHOLE]
Share = Annotated[float, Field(ge=0, le=1)]
TopK = Annotated[Count | None, Field(description="Only of the k likeliest.")]
TopP = Annotated[
    Share | None, Field(description="Only of the likeliest that together have this share.")
]
Message = TypeVar("Message")
Messages = Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)]

# A character that `str.strip` keeps; \S differs between regular expression dialects.
NOT_BLANK = r"[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"


def _example(example: JsonDict) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class RequestBody(BaseModel):
    """Refuses unknown fields, which would be ignored silently."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class GenerateRequest(RequestBody):
    """What `generate` is asked for."""

    num_samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES), WHOLE] = 1
    temperature: Temperature = DEFAULT_TEMPERATURE
    seed: Seed = Field(DEFAULT_SEED, description="Of sample 1; sample 2 has seed + 1.")
    max_tokens: Count | None = Field(None, description="The most tokens after the prompt.")
    prompt: str = Field("", max_length=MAX_CHARACTERS, description="How each sample begins.")
    top_k: TopK = None
    top_p: TopP = None

    model_config = _example({"num_samples": 5, "temperature": 0.5, "seed": 42})

    @property
    def sampling(self) -> Sampling:
        """How a token is drawn."""
        return Sampling(self.temperature, self.top_k, 1.0 if self.top_p is None else self.top_p)


class GenerateResponse(BaseModel):
    """What the model made up; each sample begins with the prompt."""

    samples: list[str]

    model_config = _example({"samples": ["kamon", "ann"]})


class ChatMessage(RequestBody):
    """One turn of a conversation."""

    role: str = Field(json_schema_extra={"enum": list(ROLES)})
    content: str = Field(json_schema_extra={"pattern": NOT_BLANK})

    @field_validator("role")
    @classmethod
    def _check_role(cls, role: str) -> str:
        if role not in ROLES:
            raise ValueError(f'unknown role "{printable(role, MAX_SHOWN)}"')
        return role

    @field_validator("content")
    @classmethod
    def _check_content(cls, content: str) -> str:
        if not content.strip():
            raise ValueError("content must not be empty")
        return content


class ChatRequest(RequestBody):
    """What `chat` is asked for."""

    messages: Messages[ChatMessage]
    temperature: Temperature = DEFAULT_TEMPERATURE
    seed: Seed = Field(DEFAULT_SEED, description="Of the first reply; reply 2 has seed + 1.")
    max_tokens: Count | None = Field(None, description="The most tokens of the reply.")

    model_config = _example({"messages": [{"role": "user", "content": "hello"}]})


class ChatResponse(BaseModel):
    """The assistant's next turn."""

    role: Literal["assistant"] = "assistant"
    content: str
    tokens_dropped: int = Field(description="Of old turns that had no room.")
    unknown_characters: str = Field(description="What the model cannot read.")
    finish_reason: FinishReason = Field(description="length: max_tokens or the context was full.")


class ModelResponse(BaseModel):
    """The model that is served."""

    name: str
    version: str = Field(description="The first 12 digits of the weights' sha256.")
    chat: bool
    num_params: int
    vocab_size: int
    block_size: int
    n_embd: int
    n_head: int
    n_layer: int
    n_ff_exp: int
    dtype: str
    tokenizer: Literal["char", "bpe"] = Field(
        description="What a token is: a character, or a subword."
    )
    characters: str = Field(
        description="What it can read and write; empty with bpe, which knows all."
    )
    created_at: str | None


class HealthResponse(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"
    model: str
    version: str


class ReadyResponse(BaseModel):
    """It takes requests."""

    status: Literal["ready"] = "ready"


class ErrorResponse(BaseModel):
    """What was wrong, and what to do."""

    error: str

    model_config = _example({"error": "temperature must be >= 0, got -0.5"})
