"""Response models of the OpenAI-compatible API, as plain dictionaries for speed."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from microgpt.sampling import FinishReason


class Model(TypedDict):
    """The model that is served."""

    id: str
    object: Literal["model"]
    created: Annotated[int, Field(description="When it was trained, in seconds since 1970.")]
    owned_by: Literal["microgpt"]


class Models(TypedDict):
    """All models there are: one."""

    object: Literal["list"]
    data: list[Model]


class Usage(TypedDict):
    """The tokens read and written; those that structure a text count where they are read."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ResponseBase(TypedDict):
    """The fields that all responses and events begin with."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: Annotated[str, Field(description="The version of the model.")]


class Logprobs(TypedDict):
    """How likely each token was, and others in its place: natural logarithms.

    The last token may be the one that ended the text. A token with nothing before it has null.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(TypedDict):
    """One text, or a piece of it."""

    index: int
    text: str
    logprobs: Logprobs | None
    finish_reason: FinishReason | None


class Completion(ResponseBase):
    """What the model made up; in a stream, a piece of it."""

    choices: list[CompletionChoice]
    usage: NotRequired[Usage]


class TokenLogprob(TypedDict):
    """How likely a token was: a natural logarithm."""

    token: str
    logprob: float
    bytes: list[int] | None


class TakenLogprob(TokenLogprob):
    """How likely a token was, and the likeliest in its place, where it is among them."""

    top_logprobs: list[TokenLogprob]


class ChatLogprobs(TypedDict):
    """How likely each token of a reply was, and the one that ended it."""

    content: list[TakenLogprob]
    refusal: None


class AssistantMessage(TypedDict):
    """The assistant's next turn."""

    role: Literal["assistant"]
    content: str


class ChatChoice(TypedDict):
    """One reply."""

    index: int
    message: AssistantMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None


class ChatCompletion(ResponseBase):
    """The assistant's next turn."""

    tokens_dropped: Annotated[int, Field(description="Of old turns that had no room.")]
    unknown_characters: Annotated[str, Field(description="What the model cannot read.")]
    choices: list[ChatChoice]
    usage: Usage


class OpenAIError(TypedDict):
    """What was wrong, and what to do."""

    message: str
    type: str
    param: Annotated[str | None, Field(description="The field that was wrong.")]
    code: str | None


class OpenAIErrorResponse(TypedDict):
    """An error as OpenAI's clients expect it."""

    error: OpenAIError
