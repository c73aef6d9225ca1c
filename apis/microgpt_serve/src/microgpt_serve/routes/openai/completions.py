"""POST /v1/completions: texts as the model makes them up, for clients of OpenAI's API."""

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from microgpt.batching.jobs import Job, text_job
from microgpt_serve.errors import ServeError
from microgpt_serve.routes.body import BodyRoute
from microgpt_serve.routes.openai.choice import Choice, TextUpdate
from microgpt_serve.routes.openai.requests import CompletionRequest
from microgpt_serve.routes.openai.response import Message, ResponseBuilder, new_seed
from microgpt_serve.routes.openai.schemas import Completion, CompletionChoice, Logprobs
from microgpt_serve.routes.openai.token_names import likeliest
from microgpt_serve.schemas import MOST_CHARACTERS, MOST_SAMPLES
from microgpt_serve.served_model import ServedModel
from microgpt_serve.service import MOST_INLINE, service_of

router = APIRouter(route_class=BodyRoute)


@router.post(
    "/v1/completions",
    summary="Make up texts, for clients of OpenAI's API",
    response_model=Completion,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def completions(body: CompletionRequest, request: Request) -> Response:
    """Return texts as the model makes them up, or what follows a prompt.

    With `stream`, in events of the same shape, with `[DONE]` at the end. The same seed gives the
    same texts, here and with `microgpt generate`. Of several prompts each is answered as if it were
    alone; the choices of the first come first.
    """
    service = service_of(request)
    model, prompts = service.model, body.prompts
    if (body.n or 1) * len(prompts) > MOST_SAMPLES:
        raise ServeError(400, f"at most {MOST_SAMPLES} texts may be asked for: prompts times n")
    prepare = partial(
        text_job,
        model.gpt,
        body.n or 1,
        prompts=prompts,
        sampling=body.sampling,
        max_tokens=body.max_tokens or None,
        seed=new_seed(body),
    )
    if (length := sum(map(len, prompts))) > MOST_CHARACTERS:
        message = f"the prompts have a length of {length}; at most {MOST_CHARACTERS} is accepted"
        raise ServeError(400, message, field="prompt")
    is_long = length > MOST_INLINE
    job = await service.aside(prepare) if is_long else prepare()
    return await _Completion(request, body, model, job).respond()


class _Completion(ResponseBuilder):
    def __init__(
        self, request: Request, body: CompletionRequest, model: ServedModel, job: Job
    ) -> None:
        echoes = [_echo(model, *both) for both in zip(body.prompts, job.prompts, strict=True)]
        super().__init__(request, body, model, job, echoes if body.echo else ())
        self._n_likeliest = body.logprobs
        self._head = self.head("text_completion", "cmpl")

    @property
    def has_logprobs(self) -> bool:
        return self._n_likeliest is not None

    def whole(self) -> Message:
        choices = [self._told(choice, choice.news()) for choice in self.choices]
        return {**self._head, "choices": choices, "usage": self.usage()}

    def pieces(self, choice: Choice) -> list[Message]:
        news = choice.news()
        if not (news.text or news.tokens or choice.finish_reason):
            return []
        told = self._told(choice, news)
        return [{**self._head, "choices": [told]}]

    def last(self) -> Message:
        return {**self._head, "choices": [], "usage": self.usage()}

    def _told(self, choice: Choice, news: TextUpdate) -> CompletionChoice:
        logprobs = None
        if self.has_logprobs:
            logprobs = self._logprobs(choice, news)
        return {
            "index": choice.index,
            "text": news.text,
            "logprobs": logprobs,
            "finish_reason": choice.finish_reason,
        }

    def _logprobs(self, choice: Choice, news: TextUpdate) -> Logprobs:
        rows = self.log_probabilities(choice, news)
        n, names = self._n_likeliest or 0, self.names
        told = list(zip(news.tokens, rows, strict=True))
        return {
            "tokens": [names[token] for token in news.tokens],
            "token_logprobs": [row[token] if row else None for token, row in told],
            "top_logprobs": [
                {names[other]: row[other] for other in likeliest(row, n, token)} if row else None
                for token, row in told
            ],
            "text_offset": choice.offsets(news),
        }


def _echo(model: ServedModel, prompt: str | list[int], opening: Sequence[int]) -> Sequence[int]:
    """Return the tokens of a prompt; `opening` may begin with others."""
    n_prompt = len(opening) - len(model.gpt.opening("")) if isinstance(prompt, str) else len(prompt)
    return opening[len(opening) - n_prompt :]
