"""Request models of the OpenAI-compatible API.

Unsupported fields are accepted only with values that have no effect.
"""

import secrets
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetPydanticSchema,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import no_info_plain_validator_function
from typing_extensions import TypedDict

from microgpt import MAX_SEED
from microgpt_serve.schemas import (
    HELP,
    MAX_SAMPLES,
    NEW_TOKENS,
    WHOLE_FLOAT,
    ChatMessage,
    Count,
    Messages,
    Probability,
    RequestBody,
    Temperature,
    TopK,
    TopP,
    Wanted,
    example,
    sampling_of,
)

MAX_STOPS = 4
MAX_STOP = 1024  # maximum number of characters of a stop string
MIN_SEED = -(2**63)  # as in OpenAI's API
SEED_BITS = 53  # every JSON parser represents integers of this size exactly


def unsupported_except(*values: Any) -> GetPydanticSchema:
    """Return a schema for an unsupported field that accepts only null and `values`."""
    accepted = (None, *values)

    def check(value: Any) -> Any:
        is_bool = isinstance(value, bool)  # because True == 1
        if not any(value == one and isinstance(one, bool) == is_bool for one in accepted):
            raise PydanticCustomError("unsupported", "is not supported")
        return value

    return GetPydanticSchema(
        lambda source, handler: no_info_plain_validator_function(check),
        lambda schema, handler: {"enum": list(accepted)},
    )


def _validate_prompt(prompt: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Validate a prompt, reporting one error instead of one per allowed type."""
    try:
        return check(prompt)
    except ValidationError:
        message = "must be a string, a list of token ids, or a non-empty list of either"
        raise PydanticCustomError("prompt", message) from None


def _join_parts(content: Any, info: ValidationInfo) -> Any:
    """Join the text parts of a message. Content is required only in user messages."""
    if content is None and info.data.get("role") != "user":
        return ""
    if not isinstance(content, list):
        return content
    try:
        return "".join(part["text"] for part in _parts.validate_python(content))
    except ValidationError:
        message = 'must be a string or a list of {"type": "text", "text": …}'
        raise PydanticCustomError("part", message) from None


class TextPart(TypedDict):
    """A part of the content of a message."""

    type: Literal["text"]
    text: str


_parts = TypeAdapter(list[TextPart])
_Stop = Annotated[str, Field(min_length=1, max_length=MAX_STOP)]
_Stops = Annotated[list[_Stop], Field(max_length=MAX_STOPS)]
Entry = TypeVar("Entry")
_Several = Annotated[list[Entry], Field(min_length=1, fail_fast=True)]
_Tokens = _Several[Annotated[int, Field(ge=0), WHOLE_FLOAT]]
_Seed = Annotated[int, Field(ge=MIN_SEED, lt=MAX_SEED + 1), WHOLE_FLOAT]
# An ignored field is not kept: it could be as large as the body.
_Ignored = Annotated[Any, AfterValidator(lambda value: None), Field(description="Ignored.")]


class StreamOptions(RequestBody):
    """Options of a streamed response."""

    include_usage: bool | None = Field(
        None, description="Send the token counts in an event before `[DONE]`."
    )
    include_obfuscation: _Ignored = None


class OpenAIRequest(RequestBody):
    """Fields common to completions and chat completions."""

    model: str | None = Field(
        None,
        description="Name of the model. Default: the first one. Ignored if only one is served.",
    )
    max_tokens: Count | None = Field(None, description=NEW_TOKENS)
    temperature: Temperature | None = None
    top_p: TopP = None
    top_k: TopK = None
    min_p: Probability | None = Field(None, description=HELP["min_p"])
    n: Annotated[
        int | None,
        Field(ge=1, le=MAX_SAMPLES, description="Number of choices per prompt."),
        WHOLE_FLOAT,
    ] = None
    seed: _Seed | None = Field(
        None,
        description="Random seed; choice i has the seed plus i. 2^63 is added to a negative one. "
        "Default: random.",
    )
    stop: Annotated[
        _Stops | None,
        BeforeValidator(
            lambda stop: [stop] if isinstance(stop, str) else stop,
            json_schema_input_type=_Stop | _Stops | None,
        ),
        Field(description="Stop strings. The text ends before the first one that occurs."),
    ] = None
    stream: bool | None = Field(
        None, description="Send the text as server-sent events while it is generated."
    )
    stream_options: StreamOptions | None = None
    user: _Ignored = None
    safety_identifier: _Ignored = None
    prompt_cache_key: _Ignored = None
    prompt_cache_options: _Ignored = None
    prompt_cache_retention: _Ignored = None
    metadata: _Ignored = None
    reasoning_effort: _Ignored = None
    service_tier: _Ignored = None
    store: _Ignored = None
    verbosity: _Ignored = None

    response_format: Annotated[Any, unsupported_except({"type": "text"})] = None
    frequency_penalty: Annotated[Any, unsupported_except(0)] = None
    presence_penalty: Annotated[Any, unsupported_except(0)] = None
    logit_bias: Annotated[Any, unsupported_except({})] = None

    def wanted(self) -> Wanted:
        """Return what the request asks for, with a random seed if it has none."""
        sampling = sampling_of(
            temperature=self.temperature, top_k=self.top_k, top_p=self.top_p, min_p=self.min_p
        )
        seed = secrets.randbits(SEED_BITS) if self.seed is None else self.seed % (MAX_SEED + 1)
        return Wanted(self.model, self.n or 1, sampling, self.max_tokens, seed, self.stop or ())


class CompletionRequest(OpenAIRequest):
    """Request body of /v1/completions."""

    prompt: Annotated[
        str | _Several[str] | _Tokens | _Several[_Tokens] | None,
        Field(description="Prompt: a string, a list of token ids, or a list of either."),
        WrapValidator(_validate_prompt),
    ] = None

    logprobs: Annotated[Any, unsupported_except()] = None
    echo: Annotated[Any, unsupported_except(False)] = None
    best_of: Annotated[Any, unsupported_except(1)] = None
    suffix: Annotated[Any, unsupported_except("")] = None

    @property
    def prompts(self) -> Sequence[str | list[int]]:
        """All prompts, each as a string or a list of token ids."""
        prompt = self.prompt or ""
        return [prompt] if isinstance(prompt, str) or isinstance(prompt[0], int) else prompt

    model_config = example({"prompt": "hello", "seed": 42})


class ChatCompletionMessage(ChatMessage):
    """A message of a conversation."""

    content: Annotated[
        str, BeforeValidator(_join_parts, json_schema_input_type=str | list[TextPart] | None)
    ] = Field(None, validate_default=True)
    name: _Ignored = None
    # What clients keep with the replies of models and send back.
    parsed: _Ignored = None
    provider_specific_fields: _Ignored = None
    reasoning: _Ignored = None
    reasoning_content: _Ignored = None
    refusal: _Ignored = None

    annotations: Annotated[Any, unsupported_except([])] = None
    audio: Annotated[Any, unsupported_except()] = None
    tool_calls: Annotated[Any, unsupported_except([])] = None
    function_call: Annotated[Any, unsupported_except()] = None


class ChatCompletionRequest(OpenAIRequest):
    """Request body of /v1/chat/completions."""

    messages: Messages[ChatCompletionMessage]
    max_completion_tokens: Count | None = Field(
        None, description="Alias of max_tokens. If both are given, the smaller value applies."
    )

    def wanted(self) -> Wanted:
        """Return what the request asks for, with the smaller limit of tokens."""
        limits = filter(None, (self.max_tokens, self.max_completion_tokens))
        return super().wanted()._replace(max_tokens=min(limits, default=None))

    logprobs: Annotated[Any, unsupported_except(False)] = None
    top_logprobs: Annotated[Any, unsupported_except()] = None
    tools: Annotated[Any, unsupported_except([])] = None
    tool_choice: Annotated[Any, unsupported_except("none", "auto")] = None
    functions: Annotated[Any, unsupported_except([])] = None
    function_call: Annotated[Any, unsupported_except("none", "auto")] = None
    audio: Annotated[Any, unsupported_except()] = None
    modalities: Annotated[Any, unsupported_except(["text"])] = None
    moderation: Annotated[Any, unsupported_except()] = None
    parallel_tool_calls: Annotated[Any, unsupported_except(True, False)] = None
    prediction: Annotated[Any, unsupported_except()] = None
    web_search_options: Annotated[Any, unsupported_except()] = None

    model_config = example({"messages": [{"role": "user", "content": "hello"}], "seed": 42})
