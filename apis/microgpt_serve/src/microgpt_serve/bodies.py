"""Bodies of requests, shown at /docs. Each one makes a `Request`."""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
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

from microgpt import (
    DEFAULT_SEED,
    IGNORED_ROLES,
    MAX_SEED,
    MAX_SIZE,
    Job,
    Message,
    MicrogptError,
    PluginError,
    Sampling,
)
from microgpt_serve.errors import ServeError
from microgpt_serve.models import MAX_NEW_TOKENS, ServedModel
from microgpt_serve.request import Request

MAX_SAMPLES = 50
MAX_MESSAGES = 2048  # as in OpenAI's API
MAX_CHARACTERS = 2**17  # maximum number of characters in a prompt or in all messages of a chat
MAX_PROMPT_COPIES = 2**20  # maximum number of characters of the prompt in all samples
MAX_STOPS = 4
MAX_STOP = 1024  # maximum number of characters of a stop string
MIN_SEED = -(2**63)  # as in OpenAI's API
SEED_BITS = 53  # every JSON parser represents integers of this size exactly
# Fields of OpenAI's API that are accepted with any value, because they ask for no other text.
IGNORED = {
    "metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "reasoning_effort", "safety_identifier", "service_tier", "store", "user", "verbosity",
}  # fmt: skip
# What clients keep with the replies of models and send back.
IGNORED_IN_MESSAGES = {
    "name", "parsed", "provider_specific_fields", "reasoning", "reasoning_content", "refusal",
}  # fmt: skip
# Fields of OpenAI's API that are accepted only with null and these values; two are of messages.
UNSUPPORTED: Mapping[str, Sequence[Any]] = {
    "annotations": [[]],
    "response_format": [{"type": "text"}],
    "frequency_penalty": [0],
    "presence_penalty": [0],
    "logit_bias": [{}],
    "logprobs": [False],
    "top_logprobs": [],
    "echo": [False],
    "best_of": [1],
    "suffix": [""],
    "tools": [[]],
    "tool_calls": [[]],
    "tool_choice": ["none", "auto"],
    "functions": [[]],
    "function_call": ["none", "auto"],
    "audio": [],
    "modalities": [["text"]],
    "moderation": [],
    "parallel_tool_calls": [True, False],
    "prediction": [],
    "web_search_options": [],
}
NEW_TOKENS = "Maximum number of new tokens. Default: as many as fit in the context."
HELP = {setting.name: setting.metadata["help"] for setting in fields(Sampling)}
# Accepts 5.0 as 5. This must be the last annotation; otherwise, the schema lacks the limits.
WHOLE_FLOAT = BeforeValidator(
    lambda number: int(number) if isinstance(number, float) and number.is_integer() else number
)
Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False, description=HELP["temperature"])]
Samples = Annotated[int, Field(ge=1, le=MAX_SAMPLES), WHOLE_FLOAT]
Count = Annotated[int, Field(ge=1, le=MAX_SIZE), WHOLE_FLOAT]
TopK = Annotated[Count | None, Field(description=HELP["top_k"])]
TopP = Annotated[float | None, Field(ge=0, le=1, description=HELP["top_p"])]
MinP = Annotated[float | None, Field(ge=0, le=1, description=HELP["min_p"])]
Stop = Annotated[str, Field(min_length=1, max_length=MAX_STOP)]
Stops = Annotated[list[Stop], Field(max_length=MAX_STOPS)]
Entry = TypeVar("Entry")
Several = Annotated[list[Entry], Field(min_length=1, fail_fast=True)]
Messages = Annotated[list[Entry], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)]
Tokens = Several[Annotated[int, Field(ge=0), WHOLE_FLOAT]]


def config(example: JsonDict | None = None) -> ConfigDict:
    """Return the configuration of a body, with an example of its JSON.

    Other fields are kept for `Body`, which refuses most of them.
    """
    schema: JsonDict = {
        "additionalProperties": False,
        **({"examples": [example]} if example else {}),
    }
    return ConfigDict(strict=True, extra="allow", frozen=True, json_schema_extra=schema)


class Body(BaseModel):
    """An object of a request. Unknown fields are refused instead of silently ignored."""

    model_config = config()
    ignored: ClassVar[Collection[str]] = ()
    unsupported: ClassVar[Mapping[str, Sequence[Any]]] = {}

    @model_validator(mode="after")
    def _check_other_fields(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            if name in self.unsupported:
                accepted = [(one, isinstance(one, bool)) for one in (None, *self.unsupported[name])]
                if (value, isinstance(value, bool)) not in accepted:  # True == 1
                    what = "is not supported; omit it"
                    raise PydanticCustomError("unsupported", what, {"field": [name]})
            elif name not in self.ignored:
                known = {"field": [name], "known": ", ".join(type(self).model_fields)}
                raise PydanticCustomError("unknown", "is an unknown field; use {known}", known)
        return self


class RequestBody(Body):
    """Fields of every request, and how it becomes a `Request`."""

    model: str | None = Field(None, description="Name of the model. Default: the first one.")
    temperature: Temperature | None = None
    top_p: TopP = None
    top_k: TopK = None
    min_p: MinP = None
    seed: int | None = None
    max_tokens: Count | None = Field(None, description=NEW_TOKENS)

    def request(self, model: ServedModel) -> Request:
        """Encode what is asked of the model. Raise ServeError if that is impossible."""
        raise NotImplementedError

    def _made(self, model: ServedModel, job: Job, notes: Mapping[str, object]) -> Request:
        return Request(model, job, notes=notes)

    def _options(self, model: ServedModel) -> dict[str, Any]:
        """Return the options of a job; its seed is random if the request has none."""
        sampling = sampling_of(
            temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, min_p=self.min_p
        )
        seed = secrets.randbits(SEED_BITS) if self.seed is None else self.seed % (MAX_SEED + 1)
        return {"sampling": sampling, "seed": seed, "max_tokens": model.limit(self.max_tokens)}


class OwnRequest(RequestBody):
    """Fields that microgpt's own requests share."""

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

    num_samples: Samples = 1
    prompt: str = Field("", description="Prompt; every sample starts with this text.")

    model_config = config({"num_samples": 5, "temperature": 0.5, "seed": 42})

    def request(self, model: ServedModel) -> Request:  # noqa: D102 - see RequestBody
        n_copied = self.num_samples * len(self.prompt)
        at_most("num_samples", MAX_PROMPT_COPIES, n_copied, "num_samples times the prompt's length")
        job = text_job(model, [self.prompt], self.num_samples, self._options(model))
        return Request(model, job, prompt=self.prompt, notes=dropped(job))


class ChatMessage(Body):
    """A message of a conversation."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str


class ChatRequest(OwnRequest):
    """Request body of /microgpt/v1/chat."""

    messages: Messages[ChatMessage]

    model_config = config({"messages": [{"role": "user", "content": "hello"}]})

    def request(self, model: ServedModel) -> Request:  # noqa: D102 - see RequestBody
        job, notes = reply_job(model, self.messages, 1, self._options(model))
        return Request(model, job, notes=notes)


class StreamOptions(Body):
    """Options of a streamed response."""

    ignored = ("include_obfuscation",)
    include_usage: bool | None = Field(
        None, description="Send the token counts in an event before `[DONE]`."
    )


class OpenAIRequest(RequestBody):
    """Fields common to completions and chat completions."""

    ignored, unsupported = IGNORED, UNSUPPORTED

    max_completion_tokens: Count | None = Field(
        None, description="Alias of max_tokens. If both are given, the smaller value applies."
    )
    n: Samples | None = Field(None, description="Number of choices per prompt.")
    seed: Annotated[int, Field(ge=MIN_SEED, lt=MAX_SEED + 1), WHOLE_FLOAT] | None = Field(
        None,
        description="Random seed; choice i has the seed plus i. 2^63 is added to a negative one. "
        "Default: random.",
    )
    stop: Annotated[
        Stops | None,
        BeforeValidator(
            lambda stop: [stop] if isinstance(stop, str) else stop,
            json_schema_input_type=Stop | Stops | None,
        ),
        Field(description="Stop strings. The text ends before the first one that occurs."),
    ] = None
    stream: bool | None = Field(
        None, description="Send the text as server-sent events while it is generated."
    )
    stream_options: StreamOptions | None = None

    def _options(self, model: ServedModel) -> dict[str, Any]:
        limits = [limit for limit in (self.max_tokens, self.max_completion_tokens) if limit]
        return {**super()._options(model), "max_tokens": model.limit(min(limits, default=None))}

    def _made(self, model: ServedModel, job: Job, notes: Mapping[str, object]) -> Request:
        return Request(
            model,
            job,
            stop=self.stop or (),
            notes=notes,
            is_streamed=bool(self.stream),
            wants_usage=bool(self.stream_options and self.stream_options.include_usage),
        )


def _check_prompt(prompt: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Validate a prompt, reporting one error instead of one per allowed type."""
    try:
        return check(prompt)
    except ValidationError:
        message = "must be a string, a list of token ids, or a non-empty list of either"
        raise PydanticCustomError("prompt", message) from None


class CompletionRequest(OpenAIRequest):
    """Request body of /v1/completions."""

    prompt: Annotated[
        str | Several[str] | Tokens | Several[Tokens] | None,
        Field(description="Prompt: a string, a list of token ids, or a list of either."),
        WrapValidator(_check_prompt),
    ] = None

    model_config = config({"prompt": "hello", "seed": 42})

    @property
    def prompts(self) -> Sequence[str | list[int]]:
        """All prompts, each as a string or a list of token ids."""
        prompt = self.prompt or ""
        return [prompt] if isinstance(prompt, str) or isinstance(prompt[0], int) else prompt

    def request(self, model: ServedModel) -> Request:  # noqa: D102 - see RequestBody
        n = self.n or 1
        at_most("n", MAX_SAMPLES, n * len(self.prompts), "n times the number of prompts")
        job = text_job(model, self.prompts, n, self._options(model))
        return self._made(model, job, dropped(job))


def _joined_parts(content: Any) -> Any:
    """Join the text parts of a message."""
    if not isinstance(content, list):
        return content
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind != "text":
            kind = kind.removesuffix("_url").removeprefix("input_")[:80]
            message = "has a part of type {kind}, which is not supported; send text only"
            raise PydanticCustomError("part", message, {"kind": kind})
        if kind is None or not isinstance(part.get("text"), str):
            message = 'must be a string or a list of {"type": "text", "text": …}'
            raise PydanticCustomError("part", message)
    return "".join(part["text"] for part in content)


class ChatCompletionMessage(ChatMessage):
    """A message of a conversation. Content is required only in user messages."""

    ignored, unsupported = IGNORED_IN_MESSAGES, UNSUPPORTED
    content: Annotated[
        str | None,
        BeforeValidator(_joined_parts, json_schema_input_type=str | list[dict[str, str]] | None),
    ] = None  # type: ignore[assignment]


class ChatCompletionRequest(OpenAIRequest):
    """Request body of /v1/chat/completions."""

    messages: Messages[ChatCompletionMessage]

    model_config = config({"messages": [{"role": "user", "content": "hello"}], "seed": 42})

    def request(self, model: ServedModel) -> Request:  # noqa: D102 - see RequestBody
        return self._made(
            model, *reply_job(model, self.messages, self.n or 1, self._options(model))
        )


@lru_cache  # to check the settings takes as long as to parse a request
def sampling_of(**given: Any) -> Sampling:
    """Return sampling settings; None is the default."""
    return Sampling(**{name: value for name, value in given.items() if value is not None})


def dropped(job: Job) -> Mapping[str, object]:
    """Return the note that a prompt was cut, if it was."""
    return {"tokens_dropped": job.tokens_dropped} if job.tokens_dropped else {}


def text_job(
    model: ServedModel, prompts: Sequence[str | list[int]], n: int, options: Mapping[str, Any]
) -> Job:
    """Encode prompts, each cut from the left to fit into the context."""
    at_most("prompt", MAX_CHARACTERS, sum(map(len, prompts)), "the length of the prompt")
    text = "".join(prompt for prompt in prompts if isinstance(prompt, str))
    return _encoded(
        "prompt", text, model, lambda: model.gpt.text_job(n, prompts=prompts, **options)
    )


def reply_job(
    model: ServedModel, messages: Sequence[ChatMessage], n: int, options: Mapping[str, Any]
) -> tuple[Job, Mapping[str, object]]:
    """Encode a conversation without its system messages; truncate it to fit into the context."""
    if not model.gpt.tokenizer.is_chat:
        what = "this is not a chat model; use /microgpt/v1/generate or /v1/completions"
        raise ServeError(400, what, field="model")
    said = [one for one in messages if one.role not in IGNORED_ROLES]
    if not said or said[-1].role != "user":
        message = "messages must end with a message of the user (the model ignores system messages)"
        raise ServeError(400, message, field="messages")
    for i, one in enumerate(messages):
        if one.role == "user" and not (one.content or "").strip():
            place = f"messages[{i}].content"
            raise ServeError(400, f"{place} must not be empty", field=place)
    n_characters = sum(len(one.content or "") for one in messages)
    at_most("messages", MAX_CHARACTERS, n_characters, "the length of the messages")
    conversation = [Message(one.role, one.content or "") for one in said]  # type: ignore[arg-type]
    last = conversation[-1].content
    prompt = _encoded("messages", last, model, lambda: model.gpt.chat_prompt(conversation))
    notes = {
        "tokens_dropped": prompt.tokens_dropped,
        "unknown_characters": prompt.unknown_characters,
    }
    return model.gpt.reply_job(prompt, n, **options), notes


def at_most(field: str, most: int, size: int, what: str) -> None:
    """Raise ServeError if something is too large."""
    if size > most:
        raise ServeError(400, f"{what} must be at most {most}, got {size}", field=field)


def _encoded(field: str, text: str, model: ServedModel, encode: Callable[[], Entry]) -> Entry:
    """Call a function that encodes text; if it fails, name the field, and offer lower case."""
    try:
        return encode()
    except PluginError:
        raise
    except MicrogptError as error:
        unknown, lower = model.gpt.tokenizer.unknown_characters, text[:1000].lower()
        is_remedy = unknown(text[:1000]) and not unknown(lower)
        remedy = f"; try lower case: {lower[:40]!r}" if is_remedy else ""
        raise ServeError(400, f"{error}{remedy}", field=field) from error
