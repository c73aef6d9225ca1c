"""What clients of OpenAI's API get, in its words, and what was left out of a conversation.

This module knows nothing of models.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from microgpt.sampling import FinishReason


class Model(BaseModel):
    """The model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: Annotated[int, Field(description="When it was trained, in seconds since 1970.")]
    owned_by: Literal["microgpt"] = "microgpt"


class Models(BaseModel):
    """All models there are: one."""

    object: Literal["list"] = "list"
    data: list[Model]


class Usage(BaseModel):
    """The tokens read and written; those that structure a text count where they are read."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Answer(BaseModel):
    """What all answers, and all events of a stream, begin with."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: Annotated[str, Field(description="The version of the model.")]


class Logprobs(BaseModel):
    """How likely each token was, and others in its place: natural logarithms."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class CompletionChoice(BaseModel):
    """One text, or a piece of it."""

    index: int
    text: str
    logprobs: Logprobs | None
    finish_reason: FinishReason | None


class Completion(Answer):
    """What the model made up; in a stream, a piece of it."""

    object: Literal["text_completion"]
    choices: list[CompletionChoice]
    usage: Usage | None = None


class TokenLogprob(BaseModel):
    """How likely a token was: a natural logarithm."""

    token: str
    logprob: float
    bytes: list[int] | None


class TakenLogprob(TokenLogprob):
    """How likely the token was that was taken, and the likeliest in its place."""

    top_logprobs: list[TokenLogprob]


class ChatLogprobs(BaseModel):
    """How likely each token of a reply was."""

    content: list[TakenLogprob]
    refusal: None = None


class AssistantMessage(BaseModel):
    """The assistant's next turn."""

    role: Literal["assistant"] = "assistant"
    content: str


class ChatChoice(BaseModel):
    """One reply."""

    index: int
    message: AssistantMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class LeftOut(BaseModel):
    """What the model has not read."""

    tokens_dropped: Annotated[int, Field(description="Of old turns that had no room.")] = 0
    unknown_characters: Annotated[str, Field(description="What the model cannot read.")] = ""


class ChatCompletion(LeftOut, Answer):
    """The assistant's next turn."""

    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    usage: Usage


class Delta(BaseModel):
    """What comes after the pieces before it."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChunkChoice(BaseModel):
    """A piece of a reply."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None


class ChatCompletionChunk(LeftOut, Answer):
    """An event of a stream; what was left out is told in the first of each reply."""

    object: Literal["chat.completion.chunk"]
    choices: list[ChunkChoice]
    usage: Usage | None = None


class OpenAIError(BaseModel):
    """What was wrong, and what to do."""

    message: str
    type: str
    param: Annotated[str | None, Field(description="The field that was wrong.")]
    code: str | None


class OpenAIErrorResponse(BaseModel):
    """An error as OpenAI's clients expect it."""

    error: OpenAIError
