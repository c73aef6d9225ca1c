"""POST /v1/completions: texts as the model makes them up, for clients of OpenAI's API."""

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from microgpt.jobs import Job, text_job
from microgpt_serve.body import BodyRoute
from microgpt_serve.openai.answers import Completion, CompletionChoice, Logprobs
from microgpt_serve.openai.choice import Choice, News
from microgpt_serve.openai.fields import CompletionRequest
from microgpt_serve.openai.reply import Message, Reply, new_seed
from microgpt_serve.openai.token_names import likeliest
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
    same texts, here and with `microgpt generate`.
    """
    service = service_of(request)
    model = service.model
    prompt = body.prompt or ""
    prepare = partial(
        text_job,
        model.gpt,
        body.n or 1,
        prompt=prompt,
        sampling=body.sampling,
        max_tokens=body.max_tokens,
        seed=new_seed(body),
    )
    job = await service.aside(prepare) if len(prompt) > MOST_INLINE else prepare()
    return await _Completion(request, body, model, job).respond()


class _Completion(Reply):
    def __init__(
        self, request: Request, body: CompletionRequest, model: ServedModel, job: Job
    ) -> None:
        n_opening = len(model.gpt.opening(""))
        super().__init__(request, body, model, job, job.prompt[n_opening:] if body.echo else ())
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
        if not (news.text or choice.finish_reason):
            return []
        told = self._told(choice, news)
        return [{**self._head, "choices": [told]}]

    def last(self) -> Message:
        return {**self._head, "choices": [], "usage": self.usage()}

    def _told(self, choice: Choice, news: News) -> CompletionChoice:
        logprobs = None
        if self.has_logprobs:
            logprobs = self._logprobs(choice, news)
        return {
            "index": choice.index,
            "text": news.text,
            "logprobs": logprobs,
            "finish_reason": choice.finish_reason,
        }

    def _logprobs(self, choice: Choice, news: News) -> Logprobs:
        rows = self.log_probabilities(choice, news)
        n, tokens, names = self._n_likeliest or 0, news.tokens, self.names
        others = [{names[other]: row[other] for other in likeliest(row, n)} for row in rows]
        return {
            "tokens": [names[token] for token in tokens],
            "token_logprobs": [row[token] for token, row in zip(tokens, rows, strict=True)],
            "top_logprobs": others if n else None,
            "text_offset": choice.offsets(news),
        }
