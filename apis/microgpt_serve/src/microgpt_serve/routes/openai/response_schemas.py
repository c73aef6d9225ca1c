"""Response models of the OpenAI-compatible API, which are plain dictionaries for speed."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from microgpt import FinishReason
from microgpt_serve.schemas import TokensDropped, UnknownCharacters, Version


class Model(TypedDict):
    """Description of a served model."""

    id: str
    object: Literal["model"]
    created: Annotated[
        int, Field(description="Unix time when the model was trained; 0 if unknown.")
    ]
    owned_by: Literal["microgpt"]


class Models(TypedDict):
    """List of the served models."""

    object: Literal["list"]
    data: list[Model]


class Usage(TypedDict):
    """Token counts. `prompt_tokens` includes special tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(TypedDict):
    """The assistant's reply."""

    role: Literal["assistant"]
    content: str


class CompletionChoice(TypedDict):
    """A generated text or message. An event of a stream has only its new part."""

    index: int
    text: NotRequired[str]
    message: NotRequired[AssistantMessage]
    logprobs: None
    finish_reason: FinishReason | None


class Completion(TypedDict):
    """Generated texts or messages."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: Version
    tokens_dropped: NotRequired[TokensDropped]
    unknown_characters: NotRequired[UnknownCharacters]
    choices: list[CompletionChoice]
    usage: NotRequired[Usage | None]


class OpenAIError(TypedDict):
    """What is wrong."""

    message: str
    type: str
    param: Annotated[str | None, Field(description="Name of the invalid field, or null.")]
    code: str | None


class ErrorResponse(TypedDict):
    """An error: a sentence or, below /v1/, an object in the format of OpenAI's API."""

    error: str | OpenAIError


ERROR = "An error with status 4xx or 5xx. The message describes the problem and how to fix it."
ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": ErrorResponse, "description": ERROR}
}
