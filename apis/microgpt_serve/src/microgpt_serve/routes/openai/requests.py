"""What clients of OpenAI's API send: the fields of a completion and of a chat completion.

A field that we do not have may stand there with the value that asks for nothing; with any other it
is refused by name.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.json_schema import WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_plain_validator_function

from microgpt.config import DEFAULT_TEMPERATURE, MAX_SIZE, Sampling
from microgpt_serve.schemas import (
    MOST_CHARACTERS,
    MOST_MESSAGES,
    MOST_SAMPLES,
    NOT_BLANK,
    WHOLE,
    ChatMessage,
    Count,
    Request,
    Seed,
    Temperature,
)

MOST_STOPS = 4
MOST_LOGPROBS = 20
MOST_LABEL = 512  # characters of what is not looked at, as with OpenAI
MOST_PAIRS = 16  # of metadata, likewise


class Only:
    """Marks a field that we do not have, with the values of it that ask for nothing."""

    def __init__(self, *values: Any) -> None:
        self.values = (None, *values)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return how pydantic checks it."""
        return no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """Return what /docs shows."""
        return {"enum": list(self.values)}

    def _check(self, value: Any) -> Any:
        if any(value == one and type(value) in _kinds(one) for one in self.values):
            return value
        raise PydanticCustomError("unsupported", "is not supported")


def _kinds(value: Any) -> tuple[type, ...]:
    """Return the types that may equal a value in JSON: to Python, true is 1, too."""
    return (int, float) if type(value) is int else (type(value),)


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


def _a_prompt(prompt: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Return a prompt, or tell in one sentence what it may be."""
    try:
        return check(prompt)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            if problem["type"] in ("too_long", "string_too_long"):
                raise PydanticCustomError(problem["type"], problem["msg"], problem["ctx"]) from None
        raise PydanticCustomError(
            "prompt", "must be a text, a list of tokens, or a list of either that is not empty"
        ) from None


def _joined(content: Any) -> Any:
    """Return the text of a message that comes in parts."""
    if not isinstance(content, list):
        return content
    for part in content:
        is_text = isinstance(part, dict) and part.get("type") == "text"
        if not is_text or not isinstance(part.get("text"), str):
            raise PydanticCustomError(
                "part", 'must be a text, or parts {"type": "text", "text": …}'
            )
    return "".join(part["text"] for part in content)


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
    Field(max_length=MOST_STOPS),
    BeforeValidator(_listed),
    WithJsonSchema(
        {
            "anyOf": [
                {**_TEXT, "minLength": 1},
                {
                    "type": "array",
                    "items": {**_TEXT, "minLength": 1},
                    "maxItems": MOST_STOPS,
                },
            ],
            "description": "A text ends before the first of these.",
        }
    ),
]
Entry = TypeVar("Entry")
_Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
_Tokens = Annotated[
    list[Annotated[int, Field(ge=0), WHOLE]],
    Field(min_length=1, max_length=MOST_CHARACTERS, fail_fast=True),
]
_Prompts = Annotated[list[Entry], Field(min_length=1, max_length=MOST_SAMPLES, fail_fast=True)]
_Label = Annotated[str, Field(max_length=MOST_LABEL)]
Share = Annotated[float, Field(ge=0, le=1)]


class StreamOptions(Request):
    """What a stream has beside the text."""

    include_usage: Annotated[
        bool | None, Field(description="One more event, with the tokens, before the last.")
    ] = None
    include_obfuscation: Annotated[bool | None, Field(description="There is none.")] = None


class Options(Request):
    """What completions and chat completions have in common."""

    model: Annotated[str | None, Field(description="Any: there is one, and it is told.")] = None
    max_tokens: Annotated[
        Count | None, Field(description="The most tokens; else what fits into the context.")
    ] = None
    temperature: Temperature | None = None
    top_p: Annotated[
        Share | None, Field(description="Only of the likeliest that together have this share.")
    ] = None
    top_k: Annotated[Count | None, Field(description="Only of the k likeliest.")] = None
    min_p: Annotated[
        Share | None, Field(description="Only of those this share as likely as the likeliest.")
    ] = None
    n: Annotated[int | None, Field(ge=1, le=MOST_SAMPLES, description="How many."), WHOLE] = None
    seed: Annotated[
        Seed | None, Field(description="Same seed, same text; else a random one. Choice i: + i.")
    ] = None
    stop: Stops | None = None
    stream: Annotated[bool | None, Field(description="In events, as it comes.")] = None
    stream_options: StreamOptions | None = None
    user: Annotated[str | None, Field(description="Not looked at.")] = None
    safety_identifier: Annotated[_Label | None, Field(description="Not looked at.")] = None
    prompt_cache_key: Annotated[_Label | None, Field(description="Not looked at.")] = None
    metadata: Annotated[
        dict[_Label, _Label] | None, Field(max_length=MOST_PAIRS, description="Not looked at.")
    ] = None
    verbosity: Annotated[
        Literal["low", "medium", "high"] | None, Field(description="Not looked at.")
    ] = None

    frequency_penalty: Annotated[Any, Only(0)] = None
    presence_penalty: Annotated[Any, Only(0)] = None
    logit_bias: Annotated[Any, Only({})] = None

    @property
    def sampling(self) -> Sampling:
        """How a token is drawn."""
        return Sampling(
            DEFAULT_TEMPERATURE if self.temperature is None else self.temperature,
            self.top_k,
            1.0 if self.top_p is None else self.top_p,
            0.0 if self.min_p is None else self.min_p,
        )

    @property
    def includes_usage(self) -> bool:
        """Whether a stream is to end with the tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)


class CompletionRequest(Options):
    """What `completions` is asked for."""

    prompt: Annotated[
        _Text | _Prompts[_Text] | _Tokens | _Prompts[_Tokens] | None,
        Field(description="How the text begins: text or tokens, or a list of either."),
        WrapValidator(_a_prompt),
    ] = None
    max_tokens: Annotated[
        int | None,
        Field(ge=0, le=MAX_SIZE, description="As elsewhere; 0 with echo tells of the prompt."),
        WHOLE,
    ] = None
    echo: Annotated[bool | None, Field(description="Whether it comes with its prompt.")] = None
    logprobs: Annotated[
        int | None,
        Field(ge=0, le=MOST_LOGPROBS, description="How likely each token was, and so many others."),
        WHOLE,
    ] = None

    best_of: Annotated[Any, Only(1)] = None
    suffix: Annotated[Any, Only("")] = None

    @property
    def prompts(self) -> Sequence[str | list[int]]:
        """All prompts, each as text or as tokens."""
        prompt = self.prompt or ""
        if isinstance(prompt, str) or isinstance(prompt[0], int):
            return [prompt]
        return prompt

    model_config = ConfigDict(json_schema_extra={"examples": [{"prompt": "hello", "seed": 42}]})


class ChatCompletionMessage(ChatMessage):
    """One turn of a conversation."""

    content: Annotated[
        str,
        Field(min_length=1),
        BeforeValidator(_joined),
        WithJsonSchema({"anyOf": [{**_TEXT, "pattern": NOT_BLANK}, _PARTS]}),
    ]

    name: Annotated[Any, Only()] = None
    refusal: Annotated[Any, Only()] = None
    annotations: Annotated[Any, Only([])] = None
    audio: Annotated[Any, Only()] = None
    tool_calls: Annotated[Any, Only([])] = None
    function_call: Annotated[Any, Only()] = None


class ChatCompletionRequest(Options):
    """What `chat completions` is asked for."""

    messages: Annotated[
        list[ChatCompletionMessage], Field(min_length=1, max_length=MOST_MESSAGES, fail_fast=True)
    ]
    max_completion_tokens: Annotated[
        Count | None, Field(description="The newer name of max_tokens.")
    ] = None
    logprobs: Annotated[bool | None, Field(description="How likely each token was.")] = None
    top_logprobs: Annotated[
        int | None,
        Field(ge=0, le=MOST_LOGPROBS, description="… and so many others; needs logprobs."),
        WHOLE,
    ] = None

    audio: Annotated[Any, Only()] = None
    function_call: Annotated[Any, Only("none", "auto")] = None
    functions: Annotated[Any, Only([])] = None
    modalities: Annotated[Any, Only(["text"])] = None
    parallel_tool_calls: Annotated[Any, Only(True, False)] = None
    prediction: Annotated[Any, Only()] = None
    reasoning_effort: Annotated[Any, Only()] = None
    response_format: Annotated[Any, Only({"type": "text"})] = None
    service_tier: Annotated[Any, Only("auto", "default")] = None
    store: Annotated[Any, Only(False)] = None
    tool_choice: Annotated[Any, Only("none", "auto")] = None
    tools: Annotated[Any, Only([])] = None

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
