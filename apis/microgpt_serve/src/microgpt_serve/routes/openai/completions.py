"""POST /v1/completions: generate texts (OpenAI-compatible)."""

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from microgpt_serve.app_state import StateDep
from microgpt_serve.errors import ServeError
from microgpt_serve.generation import run_function
from microgpt_serve.routes.body import MAX_INLINE_CHARS, BodyRoute
from microgpt_serve.routes.openai.choice import GeneratedChoice, TextUpdate
from microgpt_serve.routes.openai.request_schemas import CompletionRequest
from microgpt_serve.routes.openai.response_builder import JsonObject, ResponseBuilder
from microgpt_serve.routes.openai.response_schemas import Completion, CompletionChoice, Logprobs
from microgpt_serve.schemas import MAX_CHARACTERS, MAX_SAMPLES
from microgpt_serve.served_model import ServedModel

router = APIRouter(route_class=BodyRoute)


@router.post(
    "/v1/completions",
    summary="Generate texts (OpenAI-compatible)",
    response_model=Completion,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def completions(body: CompletionRequest, request: Request, state: StateDep) -> Response:
    """Return generated continuations of one or more prompts.

    With `stream`, texts are sent as server-sent events in the same format, followed by `[DONE]`.
    `microgpt generate` returns the same texts for the same seed. Several prompts are processed
    independently; the choices are in the order of the prompts.
    """
    model, prompts, n = state.model, body.prompts, body.n or 1
    if n * len(prompts) > MAX_SAMPLES:
        message = f"n times the number of prompts must be <= {MAX_SAMPLES}, got {n * len(prompts)}"
        raise ServeError(400, message)
    if (length := sum(map(len, prompts))) > MAX_CHARACTERS:
        message = f"the total length of the prompts must be <= {MAX_CHARACTERS}, got {length}"
        raise ServeError(400, message, field="prompt")
    encode = partial(
        model.gpt.text_job,
        n,
        prompts=prompts,
        sampling=body.sampling,
        max_tokens=model.max_new_tokens(body.max_tokens),
        seed=body.seed_or_random(),
    )
    job = await run_function(state, request, encode, length, MAX_INLINE_CHARS)
    if body.echo and job.tokens_dropped:
        size = model.gpt.config.block_size
        message = f"with echo, a prompt must fit into the context of {size} tokens; omit echo"
        raise ServeError(400, message, field="prompt")
    pairs = zip(prompts, job.prompts, strict=True)
    echoes = [_echo(model, *pair) for pair in pairs] if body.echo else ()
    dropped = {"tokens_dropped": job.tokens_dropped} if job.tokens_dropped else {}
    builder = _CompletionBuilder(
        state, request, body, model, job, body.logprobs, echoes, extra=dropped
    )
    return await builder.respond()


class _CompletionBuilder(ResponseBuilder):
    id_prefix, object_name, chunk_name = "cmpl", "text_completion", "text_completion"

    def chunks(self, choice: GeneratedChoice, update: TextUpdate) -> list[JsonObject]:
        if not (update.text or update.tokens or choice.finish_reason):
            return []
        head = self.head if update.offset else {**self.head, **self.extra}
        return [{**head, "choices": [self.choice_object(choice, update)]}]

    def choice_object(self, choice: GeneratedChoice, update: TextUpdate) -> CompletionChoice:
        return {
            "index": choice.index,
            "text": update.text,
            "logprobs": self._logprobs(choice, update),
            "finish_reason": choice.finish_reason,
        }

    def _logprobs(self, choice: GeneratedChoice, update: TextUpdate) -> Logprobs | None:
        if self.n_top_logprobs is None:
            return None
        text_of = self.model.gpt.tokenizer.label
        pairs = zip(update.tokens, update.likely, strict=True)
        return {
            "tokens": list(map(text_of, update.tokens)),
            "token_logprobs": [row[token] if row else None for token, row in pairs],
            "top_logprobs": [
                {text_of(one): value for one, value in row.items()} if row else None
                for row in update.likely
            ],
            "text_offset": choice.offsets(update),
        }


def _echo(model: ServedModel, prompt: str | list[int], opening: Sequence[int]) -> Sequence[int]:
    """Return the tokens of a prompt: `opening` without its leading special tokens."""
    n_prompt = len(opening) - len(model.gpt.opening("")) if isinstance(prompt, str) else len(prompt)
    return opening[len(opening) - n_prompt :]
