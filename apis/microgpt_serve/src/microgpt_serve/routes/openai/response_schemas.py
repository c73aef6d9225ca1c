"""Response models of the OpenAI-compatible API, which are plain dictionaries for speed."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from microgpt import FinishReason


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
    system_fingerprint: Annotated[
        str,
        Field(description="Version of the served model: a prefix of the SHA-256 of its weights."),
    ]


class CompletionChoice(TypedDict):
    """A generated text, or only the new part of it in a stream."""

    index: int
    text: str
    logprobs: None
    finish_reason: FinishReason | None


class Completion(ResponseBase):
    """Generated texts, or only the new part of one text in a stream."""

    tokens_dropped: NotRequired[
        Annotated[
            int, Field(description="Number of tokens dropped from the start of long prompts.")
        ]
    ]
    choices: list[CompletionChoice]
    usage: NotRequired[Usage | None]


class AssistantMessage(TypedDict):
    """The assistant's reply."""

    role: Literal["assistant"]
    content: str


class ChatChoice(TypedDict):
    """One of the generated replies."""

    index: int
    message: AssistantMessage
    logprobs: None
    finish_reason: FinishReason | None


class ChatCompletion(ResponseBase):
    """The assistant's reply."""

    tokens_dropped: Annotated[
        int,
        Field(description="Number of tokens in the turns that were dropped to fit the context."),
    ]
    unknown_characters: Annotated[
        str, Field(description="Characters removed because they are not in the vocabulary.")
    ]
    choices: list[ChatChoice]
    usage: Usage


class OpenAIError(TypedDict):
    """An error. The message describes the problem and how to fix it."""

    message: str
    type: str
    param: Annotated[str | None, Field(description="Name of the invalid field, or null.")]
    code: str | None


class OpenAIErrorResponse(TypedDict):
    """An error in the format of OpenAI's API."""

    error: OpenAIError
