"""What clients send and get, as pydantic checks it and as /docs shows it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic.json_schema import WithJsonSchema

from microgpt.config import DEFAULT_SEED, DEFAULT_TEMPERATURE, MAX_SEED, MAX_SIZE
from microgpt.data.tokenizer import ROLES
from microgpt.printable import printable

MOST_SAMPLES = 50
MOST_MESSAGES = 4096
MOST_CHARACTERS = 2**17  # of a prompt, or of all messages together


def without_point(number: Any) -> Any:
    """Return 5 for 5.0: JSON does not tell them apart."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Temperature = Annotated[
    float,
    Field(ge=0, allow_inf_nan=False, description="0 takes the likeliest, 1 follows the odds."),
]
WHOLE = BeforeValidator(without_point)  # comes last: limits before it stand in the schema
Seed = Annotated[
    int,
    Field(ge=0, le=MAX_SEED),
    WHOLE,
    WithJsonSchema(  # the limit is a power of two: readers that compare floats know it exactly
        {
            "type": "integer",
            "minimum": 0,
            "exclusiveMaximum": MAX_SEED + 1,
            "description": "Same seed, same text.",
        }
    ),
]
Count = Annotated[int, Field(ge=1, le=MAX_SIZE), WHOLE]


# A character that `str.strip` keeps: what \S means differs from one reader to the next.
NOT_BLANK = r"[^\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"


class Request(BaseModel):
    """A field that we do not know is refused: it would be ignored in silence."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class GenerateRequest(Request):
    """What `generate` is asked for."""

    num_samples: Annotated[int, Field(ge=1, le=MOST_SAMPLES), WHOLE] = 1
    temperature: Temperature = DEFAULT_TEMPERATURE
    seed: Annotated[Seed, Field(description="Of sample 1; sample 2 has seed + 1.")] = DEFAULT_SEED
    max_tokens: Annotated[Count | None, Field(description="The most tokens after the prompt.")] = (
        None
    )
    prompt: Annotated[
        str, Field(max_length=MOST_CHARACTERS, description="How each sample begins.")
    ] = ""
    top_k: Annotated[Count | None, Field(description="Only of the k likeliest.")] = None
    top_p: Annotated[
        float | None,
        Field(ge=0, le=1, description="Only of the likeliest that together have this share."),
    ] = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"num_samples": 5, "temperature": 0.5, "seed": 42}]}
    )


class GenerateResponse(BaseModel):
    """What the model made up; each sample begins with the prompt."""

    samples: list[str]

    model_config = ConfigDict(json_schema_extra={"examples": [{"samples": ["kamon", "ann"]}]})


class ChatMessage(Request):
    """One turn of a conversation."""

    role: Annotated[str, Field(json_schema_extra={"enum": list(ROLES)})]
    content: Annotated[str, Field(json_schema_extra={"pattern": NOT_BLANK})]

    @field_validator("role")
    @classmethod
    def _check_role(cls, role: str) -> str:
        if role not in ROLES:
            raise ValueError(f'unknown role "{printable(role, 80)}"')
        return role

    @field_validator("content")
    @classmethod
    def _check_content(cls, content: str) -> str:
        if not content.strip():
            raise ValueError("content must not be empty")
        return content


class ChatRequest(Request):
    """What `chat` is asked for."""

    messages: Annotated[
        list[ChatMessage], Field(min_length=1, max_length=MOST_MESSAGES, fail_fast=True)
    ]
    temperature: Temperature = DEFAULT_TEMPERATURE
    seed: Annotated[Seed, Field(description="Of the first reply; reply 2 has seed + 1.")] = (
        DEFAULT_SEED
    )
    max_tokens: Annotated[Count | None, Field(description="The most tokens of the reply.")] = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"messages": [{"role": "user", "content": "hello"}]}]}
    )


class ChatResponse(BaseModel):
    """The assistant's next turn."""

    role: Literal["assistant"] = "assistant"
    content: str
    tokens_dropped: Annotated[int, Field(description="Of old turns that had no room.")]
    unknown_characters: Annotated[str, Field(description="What the model cannot read.")]
    finish_reason: Annotated[
        Literal["stop", "length"], Field(description="length: max_tokens or the context was full.")
    ]


class ModelResponse(BaseModel):
    """The model that is served."""

    name: str
    version: Annotated[str, Field(description="The first 12 digits of the weights' sha256.")]
    chat: bool
    num_params: int
    vocab_size: int
    block_size: int
    n_embd: int
    n_head: int
    n_layer: int
    n_ff_exp: int
    dtype: str
    tokenizer: Annotated[
        Literal["char", "bpe"], Field(description="What a token is: a character, or a subword.")
    ]
    characters: Annotated[
        str, Field(description="What it can read and write; empty with bpe, which knows all.")
    ]
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

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"error": "temperature must be >= 0, got -0.5"}]}
    )
