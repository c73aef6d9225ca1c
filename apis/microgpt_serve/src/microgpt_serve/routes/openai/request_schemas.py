"""Request models of the OpenAI-compatible API.

An unsupported field is accepted only with a value that has no effect.
"""

import secrets
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import no_info_plain_validator_function

from microgpt.config import DEFAULT_TEMPERATURE, MAX_SIZE, Sampling
from microgpt_serve.schemas import (
    MAX_CHARACTERS,
    MAX_SAMPLES,
    NOT_BLANK,
    WHOLE,
    ChatMessage,
    Count,
    Messages,
    RequestBody,
    Seed,
    Share,
    Temperature,
    TopK,
    TopP,
)

MAX_STOPS = 4
MAX_LOGPROBS = 20
MAX_LABEL = 512  # characters of an ignored field, as in OpenAI's API
MAX_PAIRS = 16  # of metadata, as in OpenAI's API
SEED_BITS = 53  # an integer that every JSON parser represents exactly


def neutral(*values: Any) -> GetPydanticSchema:
    """Mark an unsupported field: accept only null and these values, which have no effect."""
    accepted = (None, *values)

    def check(value: Any) -> Any:
        for one in accepted:
            kinds = (int, float) if type(one) is int else (type(one),)  # in Python, True == 1
            if value == one and type(value) in kinds:
                return value
        raise PydanticCustomError("unsupported", "is not supported")

    return GetPydanticSchema(
        lambda source, handler: no_info_plain_validator_function(check),
        lambda schema, handler: {"enum": list(accepted)},
    )


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


def _a_prompt(prompt: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Validate a prompt, reporting one error instead of one per allowed type."""
    try:
        return check(prompt)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            if problem["type"] in ("too_long", "string_too_long"):
                raise PydanticCustomError(problem["type"], problem["msg"], problem["ctx"]) from None
        message = "must be a text, a list of tokens, or a list of either that is not empty"
        raise PydanticCustomError("prompt", message) from None


def _joined(content: Any) -> Any:
    """Join the text parts of a message."""
    if not isinstance(content, list):
        return content
    texts: list[Any] = [
        part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        for part in content
    ]
    if not all(isinstance(text, str) for text in texts):
        raise PydanticCustomError("part", 'must be a text, or parts {"type": "text", "text": …}')
    return "".join(texts)


_TEXT = {"type": "string"}
_PARTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"type": {"const": "text"}, "text": _TEXT},
        "required": ["type", "text"],
    },
    "contains": {"properties": {"text": {"pattern": NOT_BLANK}}},
}
Stops = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    Field(max_length=MAX_STOPS),
    BeforeValidator(_listed),
    WithJsonSchema(
        {
            "anyOf": [
                {**_TEXT, "minLength": 1},
                {"type": "array", "items": {**_TEXT, "minLength": 1}, "maxItems": MAX_STOPS},
            ],
            "description": "A text ends before the first of these.",
        }
    ),
]
Entry = TypeVar("Entry")
_Text = Annotated[str, Field(max_length=MAX_CHARACTERS)]
_Tokens = Annotated[
    list[Annotated[int, Field(ge=0), WHOLE]],
    Field(min_length=1, max_length=MAX_CHARACTERS, fail_fast=True),
]
_Prompts = Annotated[list[Entry], Field(min_length=1, max_length=MAX_SAMPLES, fail_fast=True)]
_Label = Annotated[str, Field(max_length=MAX_LABEL)]
_NLogprobs = Annotated[int, Field(ge=0, le=MAX_LOGPROBS), WHOLE]
_IGNORED = Field(None, description="Not looked at.")


class StreamOptions(RequestBody):
    """What a stream has beside the text."""

    include_usage: bool | None = Field(
        None, description="One more event, with the tokens, before the last."
    )
    include_obfuscation: bool | None = Field(None, description="There is none.")


class OpenAIRequest(RequestBody):
    """The fields that completions and chat completions share."""

    model: str | None = Field(None, description="Any: there is one, and it is told.")
    max_tokens: Count | None = Field(
        None, description="The most tokens; else what fits into the context."
    )
    temperature: Temperature | None = None
    top_p: TopP = None
    top_k: TopK = None
    min_p: Share | None = Field(
        None, description="Only of those this share as likely as the likeliest."
    )
    n: Annotated[int | None, Field(ge=1, le=MAX_SAMPLES, description="How many."), WHOLE] = None
    seed: Seed | None = Field(
        None, description="Same seed, same text; else a random one. Choice i: + i."
    )
    stop: Stops | None = None
    stream: bool | None = Field(None, description="In events, as it comes.")
    stream_options: StreamOptions | None = None
    user: str | None = _IGNORED
    safety_identifier: _Label | None = _IGNORED
    prompt_cache_key: _Label | None = _IGNORED
    metadata: Annotated[dict[_Label, _Label], Field(max_length=MAX_PAIRS)] | None = _IGNORED
    verbosity: Literal["low", "medium", "high"] | None = _IGNORED

    frequency_penalty: Annotated[Any, neutral(0)] = None
    presence_penalty: Annotated[Any, neutral(0)] = None
    logit_bias: Annotated[Any, neutral({})] = None

    @property
    def sampling(self) -> Sampling:
        """How a token is drawn."""
        return Sampling(
            DEFAULT_TEMPERATURE if self.temperature is None else self.temperature,
            self.top_k,
            1.0 if self.top_p is None else self.top_p,
            0.0 if self.min_p is None else self.min_p,
        )

    def seed_or_random(self) -> int:
        """Return the seed that the client gives, or a random one."""
        return secrets.randbits(SEED_BITS) if self.seed is None else self.seed

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class CompletionRequest(OpenAIRequest):
    """What `completions` is asked for."""

    prompt: Annotated[
        _Text | _Prompts[_Text] | _Tokens | _Prompts[_Tokens] | None,
        Field(description="How the text begins: text or tokens, or a list of either."),
        WrapValidator(_a_prompt),
    ] = None
    max_tokens: Annotated[int, Field(ge=0, le=MAX_SIZE), WHOLE] | None = Field(
        None, description="As elsewhere; 0 with echo tells of the prompt."
    )
    echo: bool | None = Field(None, description="Whether it comes with its prompt.")
    logprobs: _NLogprobs | None = Field(
        None, description="How likely each token was, and so many others."
    )

    best_of: Annotated[Any, neutral(1)] = None
    suffix: Annotated[Any, neutral("")] = None

    @property
    def prompts(self) -> Sequence[str | list[int]]:
        """All prompts, each as text or as tokens."""
        prompt = self.prompt or ""
        return [prompt] if isinstance(prompt, str) or isinstance(prompt[0], int) else prompt

    model_config = ConfigDict(json_schema_extra={"examples": [{"prompt": "hello", "seed": 42}]})


class ChatCompletionMessage(ChatMessage):
    """One turn of a conversation."""

    content: Annotated[
        str,
        Field(min_length=1),
        BeforeValidator(_joined),
        WithJsonSchema({"anyOf": [{**_TEXT, "pattern": NOT_BLANK}, _PARTS]}),
    ]

    name: Annotated[Any, neutral()] = None
    refusal: Annotated[Any, neutral()] = None
    annotations: Annotated[Any, neutral([])] = None
    audio: Annotated[Any, neutral()] = None
    tool_calls: Annotated[Any, neutral([])] = None
    function_call: Annotated[Any, neutral()] = None


class ChatCompletionRequest(OpenAIRequest):
    """What `chat completions` is asked for."""

    messages: Messages[ChatCompletionMessage]
    max_completion_tokens: Count | None = Field(None, description="The newer name of max_tokens.")
    logprobs: bool | None = Field(None, description="How likely each token was.")
    top_logprobs: _NLogprobs | None = Field(
        None, description="… and so many others; needs logprobs."
    )

    audio: Annotated[Any, neutral()] = None
    function_call: Annotated[Any, neutral("none", "auto")] = None
    functions: Annotated[Any, neutral([])] = None
    modalities: Annotated[Any, neutral(["text"])] = None
    parallel_tool_calls: Annotated[Any, neutral(True, False)] = None
    prediction: Annotated[Any, neutral()] = None
    reasoning_effort: Annotated[Any, neutral()] = None
    response_format: Annotated[Any, neutral({"type": "text"})] = None
    service_tier: Annotated[Any, neutral("auto", "default")] = None
    store: Annotated[Any, neutral(False)] = None
    tool_choice: Annotated[Any, neutral("none", "auto")] = None
    tools: Annotated[Any, neutral([])] = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"messages": [{"role": "user", "content": "hello"}], "seed": 42}],
            "if": {
                "properties": {"top_logprobs": {"type": "integer"}},
                "required": ["top_logprobs"],
            },
            "then": {"properties": {"logprobs": {"const": True}}, "required": ["logprobs"]},
        }
    )
