"""Response models of the OpenAI-compatible API, which are plain dictionaries for speed."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from microgpt import FinishReason
from microgpt_serve.schemas import PromptDropped, TurnsDropped, UnknownCharacters, Version


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


class ResponseBase(TypedDict):
    """Fields common to all responses and events."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: Version
    usage: NotRequired[Usage | None]


class Choice(TypedDict):
    """Fields common to all choices."""

    index: int
    logprobs: None
    finish_reason: FinishReason | None


class CompletionChoice(Choice):
    """A generated text, or only the new part of it in a stream."""

    text: str


class Completion(ResponseBase):
    """Generated texts, or only the new part of one text in a stream."""

    tokens_dropped: NotRequired[PromptDropped]
    choices: list[CompletionChoice]


class AssistantMessage(TypedDict):
    """The assistant's reply."""

    role: Literal["assistant"]
    content: str


class ChatChoice(Choice):
    """One of the generated replies."""

    message: AssistantMessage


class ChatCompletion(ResponseBase):
    """The assistant's reply."""

    tokens_dropped: TurnsDropped
    unknown_characters: UnknownCharacters
    choices: list[ChatChoice]


class OpenAIError(TypedDict):
    """What is wrong."""

    message: str
    type: str
    param: Annotated[str | None, Field(description="Name of the invalid field, or null.")]
    code: str | None


class OpenAIErrorResponse(TypedDict):
    """An error in the format of OpenAI's API."""

    error: OpenAIError
