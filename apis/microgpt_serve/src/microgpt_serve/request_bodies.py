"""Request bodies: the fields of each route and their limits, as shown at /docs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from microgpt import DEFAULT_SEED, MAX_SEED, MAX_SIZE, Sampling
from microgpt_serve.models import MAX_NEW_TOKENS

MAX_SAMPLES = 50
MAX_MESSAGES = 2048  # maximum number of messages of a conversation, as in OpenAI's API
MAX_STOPS = 4
MAX_STOP = 1024  # maximum number of characters of a stop string
STOP_RULE = f"must be 1 to {MAX_STOP} characters, or a list of at most {MAX_STOPS} such strings"
MIN_SEED = -(2**63)  # minimum seed, as in OpenAI's API
# Fields of OpenAI's API that are accepted and ignored, because they need not affect the reply.
IGNORED = {
    "function_call", "metadata", "parallel_tool_calls", "prediction", "prompt_cache_key",
    "prompt_cache_options", "prompt_cache_retention", "reasoning_effort", "safety_identifier",
    "service_tier", "store", "tool_choice", "top_logprobs", "user", "verbosity",
}  # fmt: skip
# Ignored fields of messages: clients store them with a model's reply and send them back.
IGNORED_IN_MESSAGES = {
    "annotations", "function_call", "name", "parsed", "provider_specific_fields", "reasoning",
    "reasoning_content", "refusal",
}  # fmt: skip
# Fields of OpenAI's API and its messages; only null, or the value given here, is accepted.
UNSUPPORTED: Mapping[str, Any] = {
    "audio": None,
    "best_of": 1,
    "echo": False,
    "frequency_penalty": 0,
    "functions": [],
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "moderation": None,
    "presence_penalty": 0,
    "response_format": {"type": "text"},
    "suffix": "",
    "tool_calls": [],
    "tools": [],
    "web_search_options": None,
}
NEW_TOKENS = "Maximum number of new tokens. Default: as many as fit in the context."
HELP = {setting.name: setting.metadata["help"] for setting in fields(Sampling)}
# This validator accepts 5.0 as 5. It must be the last annotation, or the schema lacks the limits.
WHOLE_FLOAT = BeforeValidator(
    lambda number: int(number) if isinstance(number, float) and number.is_integer() else number
)
Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False, description=HELP["temperature"])]
Samples = Annotated[int, Field(ge=1, le=MAX_SAMPLES), WHOLE_FLOAT]
Count = Annotated[int, Field(ge=1, le=MAX_SIZE), WHOLE_FLOAT]
Stop = Annotated[str, Field(min_length=1, max_length=MAX_STOP)]
Stops = Annotated[list[Stop], Field(max_length=MAX_STOPS)]
Entry = TypeVar("Entry")
Several = Annotated[list[Entry], Field(min_length=1, fail_fast=True)]
Tokens = Several[Annotated[int, Field(ge=0), WHOLE_FLOAT]]


def config(example: JsonDict | None = None) -> ConfigDict:
    """Return the pydantic configuration of a body. It allows extra fields, which `Body` checks."""
    schema: JsonDict = {"additionalProperties": False}
    if example:
        schema["examples"] = [example]
    return ConfigDict(strict=True, extra="allow", frozen=True, json_schema_extra=schema)


class Body(BaseModel):
    """An object in a request body. Unknown fields are refused instead of silently ignored."""

    model_config = config()
    ignored: ClassVar[Collection[str]] = ()
    unsupported: ClassVar[Mapping[str, Any]] = {}

    @model_validator(mode="after")
    def _check_other_fields(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            if name in self.unsupported:
                neutral = self.unsupported[name]
                is_neutral = value == neutral and isinstance(value, bool) == (neutral is False)
                if value is not None and not is_neutral:
                    what = "is not supported; omit it"
                    raise PydanticCustomError("unsupported", what, {"field": [name]})
            elif name not in self.ignored:
                facts = {"field": [name], "known": ", ".join(type(self).model_fields)}
                raise PydanticCustomError("unknown", "is an unknown field; use {known}", facts)
        return self


class RequestBody(Body):
    """Fields of all requests to generate text."""

    model: str | None = Field(None, description="Name of the model. Default: the first one.")
    top_p: float | None = Field(None, ge=0, le=1, description=HELP["top_p"])
    top_k: Count | None = Field(None, description=HELP["top_k"])
    min_p: float | None = Field(None, ge=0, le=1, description=HELP["min_p"])


class OwnRequest(RequestBody):
    """Fields of all requests below /microgpt/v1/."""

    temperature: Temperature = Sampling.temperature
    seed: Annotated[int, Field(ge=0, lt=MAX_SEED + 1), WHOLE_FLOAT] = Field(
        DEFAULT_SEED,
        description="Random seed; the same seed gives the same text. Sample i uses seed + i.",
    )
    max_tokens: Annotated[int, Field(ge=1, le=MAX_NEW_TOKENS), WHOLE_FLOAT] | None = Field(
        None, description=NEW_TOKENS
    )


class GenerateRequest(OwnRequest):
    """Request body of /microgpt/v1/generate."""

    num_samples: Samples = 1
    prompt: str = Field("", description="Prompt; every sample starts with this text.")

    model_config = config({"num_samples": 5, "temperature": 0.5, "seed": 42})


def _joined_parts(content: Any) -> Any:
    """Join the text parts of a message whose content is a list; refuse parts of other types."""
    if not isinstance(content, list):
        return content
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind != "text":
            kind = kind.removesuffix("_url").removeprefix("input_")[:80]
            message = "has a part of type {kind}, which is not supported; send text only"
            raise PydanticCustomError("unsupported", message, {"kind": kind})
        if kind is None or not isinstance(part.get("text"), str):
            message = 'must be a string or a list of {"type": "text", "text": …}'
            raise PydanticCustomError("part", message)
    return "".join(part["text"] for part in content)


class ChatMessage(Body):
    """A message of a conversation. Only user messages must have content."""

    ignored, unsupported = IGNORED_IN_MESSAGES, UNSUPPORTED
    role: Literal["user", "assistant", "system", "developer"]
    content: Annotated[
        str | None,
        BeforeValidator(_joined_parts, json_schema_input_type=str | list[dict[str, str]] | None),
    ] = None


Messages = Annotated[
    list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
]


class ChatRequest(OwnRequest):
    """Request body of /microgpt/v1/chat."""

    messages: Messages

    model_config = config({"messages": [{"role": "user", "content": "hello"}]})


class StreamOptions(Body):
    """Options of a streamed response."""

    ignored = ("include_obfuscation",)
    include_usage: bool | None = Field(
        None, description="Send the token counts in an event before `[DONE]`."
    )


def _one_rule(rule: str) -> WrapValidator:
    """Return a validator that reports the error `rule` instead of one error per allowed type."""

    def check(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError:
            raise PydanticCustomError("types", rule) from None

    return WrapValidator(check)


class OpenAIRequest(RequestBody):
    """Fields common to completions and chat completions."""

    ignored, unsupported = IGNORED, UNSUPPORTED

    temperature: Temperature | None = None
    max_tokens: Count | None = Field(None, description=NEW_TOKENS)
    max_completion_tokens: Count | None = Field(
        None, description="Alias of max_tokens. If both are given, the smaller value applies."
    )
    n: Samples | None = Field(None, description="Number of choices per prompt.")
    seed: Annotated[int, Field(ge=MIN_SEED, lt=MAX_SEED + 1), WHOLE_FLOAT] | None = Field(
        None,
        description="Random seed; choice i uses seed + i. 2^63 is added to a negative seed. "
        "Default: random.",
    )
    stop: Annotated[
        Stop | Stops | None,
        Field(description="Stop strings. The text ends before the first one that occurs."),
        _one_rule(STOP_RULE),
    ] = None
    stream: bool | None = Field(
        None, description="Send the text as server-sent events while it is generated."
    )
    stream_options: StreamOptions | None = None

    @property
    def stops(self) -> Sequence[str]:
        """The stop strings as a sequence, which is empty if there are none."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or ()


class CompletionRequest(OpenAIRequest):
    """Request body of /v1/completions."""

    prompt: Annotated[
        str | Several[str] | Tokens | Several[Tokens] | None,
        Field(description="Prompt: a string, a list of token ids, or a list of either."),
        _one_rule("must be a string, a list of token ids, or a non-empty list of either"),
    ] = None

    model_config = config({"prompt": "hello", "seed": 42})

    @property
    def prompts(self) -> Sequence[str | list[int]]:
        """All prompts, each as a string or a list of token ids."""
        prompt = self.prompt or ""
        return [prompt] if isinstance(prompt, str) or isinstance(prompt[0], int) else prompt


class ChatCompletionRequest(OpenAIRequest):
    """Request body of /v1/chat/completions."""

    messages: Messages

    model_config = config({"messages": [{"role": "user", "content": "hello"}], "seed": 42})


PostBody = GenerateRequest | ChatRequest | CompletionRequest | ChatCompletionRequest
