"""Convert a request body to a `Request`, and encode its texts as tokens of the model."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypedDict, TypeVar

from microgpt import IGNORED_ROLES, MAX_SEED, Job, Message, MicrogptError, PluginError, Sampling
from microgpt_serve.models import ServedModel
from microgpt_serve.request import Request
from microgpt_serve.request_bodies import (
    MAX_SAMPLES,
    ChatCompletionRequest,
    ChatMessage,
    ChatRequest,
    CompletionRequest,
    GenerateRequest,
    OpenAIRequest,
    PostBody,
)
from microgpt_serve.service_errors import ServeError, shown

MAX_CHARACTERS = 2**17  # maximum number of characters in a prompt or in all messages of a chat
MAX_PROMPT_COPIES = 2**20  # maximum of num_samples times the length of the prompt in characters
SEED_BITS = 53  # bits of a random seed, so that JSON parsers that use doubles read it exactly
T = TypeVar("T")


class Options(TypedDict):
    """Keyword arguments common to `InferenceGpt.text_job` and `InferenceGpt.reply_job`."""

    sampling: Sampling
    seed: int
    max_tokens: int | None


def encode(body: PostBody, model: ServedModel) -> Request:
    """Convert a body to a request to a model. Raise ServeError if the model cannot fulfil it."""
    limits = [body.max_tokens]
    if isinstance(body, OpenAIRequest):
        limits.append(body.max_completion_tokens)
    options = Options(
        sampling=_sampling(
            temperature=body.temperature, top_p=body.top_p, top_k=body.top_k, min_p=body.min_p
        ),
        seed=secrets.randbits(SEED_BITS) if body.seed is None else body.seed % (MAX_SEED + 1),
        max_tokens=model.limit(min(filter(None, limits), default=None)),
    )
    match body:
        case GenerateRequest():
            n_copied = body.num_samples * len(body.prompt)
            what = "num_samples times the prompt's length"
            _at_most("num_samples", MAX_PROMPT_COPIES, n_copied, what)
            job, notes = _text_job(model, [body.prompt], body.num_samples, options)
            return Request(model, job, notes, prompt=body.prompt)
        case ChatRequest():
            return Request(model, *_reply_job(model, body.messages, 1, options))
        case CompletionRequest():
            n = body.n or 1
            _at_most("n", MAX_SAMPLES, n * len(body.prompts), "n times the number of prompts")
            job, notes = _text_job(model, body.prompts, n, options)
        case ChatCompletionRequest():
            job, notes = _reply_job(model, body.messages, body.n or 1, options)
    is_streamed, options_of_stream = bool(body.stream), body.stream_options
    wants_usage = bool(options_of_stream and options_of_stream.include_usage)
    return Request(model, job, notes, body.stops, is_streamed=is_streamed, wants_usage=wants_usage)


@lru_cache  # avoids repeated checks, which take as long as parsing a request
def _sampling(**given: Any) -> Sampling:
    """Return sampling settings; a setting that is None gets its default value."""
    return Sampling(**{name: value for name, value in given.items() if value is not None})


def _text_job(
    model: ServedModel, prompts: Sequence[str | list[int]], n: int, options: Options
) -> tuple[Job, Mapping[str, object]]:
    """Return a job and extra response fields; prompts are truncated on the left to the context."""
    _at_most("prompt", MAX_CHARACTERS, sum(map(len, prompts)), "the length of the prompt")
    job = _named(
        "prompt", prompts, model, lambda: model.gpt.text_job(n, prompts=prompts, **options)
    )
    return job, {"tokens_dropped": job.tokens_dropped} if job.tokens_dropped else {}


def _reply_job(
    model: ServedModel, messages: Sequence[ChatMessage], n: int, options: Options
) -> tuple[Job, Mapping[str, object]]:
    """Return a job and extra response fields; omit system messages, and turns that do not fit."""
    if not model.gpt.tokenizer.is_chat:
        what = "this is not a chat model; use /microgpt/v1/generate or /v1/completions"
        raise ServeError(400, what, field="model")
    read = [one for one in messages if one.role not in IGNORED_ROLES]
    said = [Message(one.role, one.content or "") for one in read]  # type: ignore[arg-type]
    if not said or said[-1].role != "user":
        message = "the last message must be from the user (the model ignores system messages)"
        raise ServeError(400, message, field="messages")
    for i, one in enumerate(messages):
        if one.role == "user" and not (one.content or "").strip():
            place = f"messages[{i}].content"
            raise ServeError(
                400, f"{place} must not be empty, got {shown(one.content)}", field=place
            )
    n_characters = sum(len(one.content or "") for one in messages)
    _at_most("messages", MAX_CHARACTERS, n_characters, "the length of the messages")
    prompt = _named("messages", [said[-1].content], model, lambda: model.gpt.chat_prompt(said))
    notes = {
        "tokens_dropped": prompt.tokens_dropped,
        "unknown_characters": prompt.unknown_characters,
    }
    return model.gpt.reply_job(prompt, n, **options), notes


def _at_most(field: str, most: int, size: int, what: str) -> None:
    """Raise ServeError if `size`, which `what` describes, exceeds `most`."""
    if size > most:
        raise ServeError(400, f"{what} must be at most {most}, got {size}", field=field)


def _named(
    field: str, texts: Sequence[str | list[int]], model: ServedModel, encode: Callable[[], T]
) -> T:
    """Encode the texts of a field; errors name the field, and suggest lower case if it helps."""
    try:
        return encode()
    except PluginError:
        raise
    except MicrogptError as error:
        unknown, remedy = model.gpt.tokenizer.unknown_characters, ""
        for i, text in enumerate(texts):
            if isinstance(text, str) and unknown(text):
                field += f"[{i}]" if len(texts) > 1 else ""
                lower = text.lower()
                remedy = "" if unknown(lower) else f"; try lower case: {lower[:40]!r}"
                break
        raise ServeError(400, f"{field}: {error}{remedy}", field=field) from error
