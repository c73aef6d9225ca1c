"""Generate samples, completions and chat replies with a trained model."""

import random
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, repeat
from typing import Any, Unpack

from microgpt.config import (
    DEFAULT_SEED,
    EngineName,
    Sampling,
    SamplingArguments,
    check_seed,
    checked,
)
from microgpt.data.context import ChatPrompt, fit_conversation
from microgpt.data.tokenizer import AnyMessage, Message, as_conversation
from microgpt.errors import ConfigError, PromptError
from microgpt.language_model import LanguageModel
from microgpt.replies import reply_plugin
from microgpt.sampling import Continuation, DecodeRules, FinishReason, Job, TokenStream, new_context
from microgpt.training.engines import check_engine
from microgpt.training_state import TrainedModel

FIRST_BATCH, LAST_BATCH = 64, 1024  # initial and maximum batch size per thread


@dataclass(frozen=True)
class Reply:
    """The assistant's reply; `TokenStream` and `ChatPrompt` explain the fields after `content`."""

    content: str
    finish_reason: FinishReason
    tokens_dropped: int
    unknown_characters: str


class InferenceGpt(LanguageModel):
    """A read-only model that generates text and predicts tokens; threads can share it.

    Examples:
        >>> from microgpt import InferenceGpt, TrainConfig, train
        >>> model = InferenceGpt(train(["anna"], config=TrainConfig(steps=60)))
        >>> model.generate(num_samples=2)
        ['anna', 'anna']
        >>> model.generate(prompt="an")
        ['anna']
    """

    def __init__(self, trained: TrainedModel, *, engine: EngineName | None = None) -> None:
        """Copy a model returned by `train` or `load`.

        Args:
            engine: "compiled", or "reference" for slow plain Python; see `default_engine`. In
                float64, both give the same results; in float32, rounding can change a sampled
                token.

        Raises:
            PluginError: the model needs a plug-in that is not installed.
        """
        super().__init__(trained, engine=engine)
        has_lines = self.config.block_size > 2 and not self.tokenizer.unknown_characters("\n")
        self._start = "\n" if trained.config.text == "stream" and has_lines else ""
        self._hooks = [reply_plugin(name).hook(facts) for name, facts in trained.extra.items()]

    @property
    def greeting(self) -> str:
        """The model's message before the user's first one; "" if there is none."""
        return next((hook.greeting for hook in self._hooks), "")

    @property
    def speaker(self) -> str:
        """The name of the character that replies; "" if there is none."""
        return next((hook.name for hook in self._hooks), "")

    def generate(
        self,
        num_samples: int = 1,
        *,
        prompt: str = "",
        max_tokens: int | None = None,
        seed: int = DEFAULT_SEED,
        rng: random.Random | None = None,
        threads: int = 1,
        **sampling: Unpack[SamplingArguments],
    ) -> list[str]:
        """Return sampled texts, each starting with the prompt; a chat model samples user messages.

        Args:
            prompt: start of each text. If the prompt exceeds the context, the model reads only the
                start token and the last block_size // 2 tokens.
            max_tokens: maximum number of new tokens; by default, the text ends when the context is
                full. With a larger limit, the text continues in a new context, which begins with
                the start token and the last half of the full one.
            seed: seed of the first text; text i, counted from 0, uses seed + i.
            rng: random generator for all texts; replaces the seeds.
            sampling: temperature, top_k, top_p and min_p; see `Sampling`.

        Raises:
            PromptError: the context is too small for any prompt.
            TokenizerError: the prompt contains an unknown character.
            ConfigError: a setting is out of range.
        """
        n = checked("num_samples", num_samples, int)
        how: Any = {"max_tokens": max_tokens, "seed": seed, "rng": rng, "threads": threads}
        return list(self.samples(n, prompt=prompt, **how, **sampling))

    def samples(
        self,
        num_samples: int | None = None,
        *,
        prompt: str = "",
        max_tokens: int | None = None,
        seed: int = DEFAULT_SEED,
        rng: random.Random | None = None,
        threads: int = 1,
        **sampling: Unpack[SamplingArguments],
    ) -> Iterator[str]:
        """Yield the texts of `generate` one by one, or infinitely many if num_samples is None."""
        check_engine(self.engine, None, threads)
        n, how = 1 if num_samples is None else num_samples, Sampling(**sampling)
        job = self.text_job(n, prompts=[prompt], sampling=how, max_tokens=max_tokens, seed=seed)
        if rng is None:
            sequences: Iterator[Iterable[int]] = self._decode_batches(job, num_samples, threads)
        elif threads > 1:
            raise ConfigError("rng cannot be used with several threads; omit threads")
        else:
            sequences = islice(map(self.stream, repeat(job), repeat(rng)), num_samples)
        return (prompt + self.tokenizer.decode(each) for each in sequences)

    def _decode_batches(self, job: Job, n: int | None, threads: int) -> Iterator[list[int]]:
        """Yield n continuations, or infinitely many if n is None, in batches of increasing size."""
        seed, n_together = job.seeds[0], FIRST_BATCH * threads
        while n is None or n > 0:
            n_now = n_together if n is None else min(n_together, n)
            prompts, seeds = [*job.prompts] * n_now, range(seed, seed + n_now)
            yield from self.engine_model.decode_many(prompts, seeds, job.rules, threads=threads)
            seed, n = seed + n_now, None if n is None else n - n_now
            n_together = min(2 * n_together, LAST_BATCH * threads)

    def text_job(
        self,
        num_samples: int = 1,
        *,
        prompts: Sequence[str | Sequence[int]] = ("",),
        sampling: Sampling | None = None,
        max_tokens: int | None = None,
        seed: int = DEFAULT_SEED,
    ) -> Job:
        """Return a `Job` with num_samples continuations per prompt; see `opening` for prompts."""
        num_samples, seed = checked("num_samples", num_samples, int), check_seed(seed)
        if self._hooks:
            raise PromptError(
                "the model only answers questions and cannot continue a text; use chat"
            )
        n_dropped, openings = 0, [self.opening(prompt) for prompt in prompts]
        for i, tokens in enumerate(openings):
            if len(tokens) > self.config.block_size:
                openings[i] = new_context(tokens, self.config.block_size)
                n_dropped += len(tokens) - len(openings[i])
            self.check_prompt(openings[i], max_tokens)
        stop = tuple(self.tokenizer.special_ids)
        rules = DecodeRules(stop, max_tokens=max_tokens, sampling=sampling or Sampling())
        return Job(openings, range(seed, seed + num_samples), rules, n_dropped)

    def opening(self, prompt: str | Sequence[int]) -> list[int]:
        """Return BOS, the user token if the model is a chat model, and the tokens of a prompt.

        Tokens that start with BOS are returned unchanged. For a model of running text, an empty
        prompt is replaced with a newline.
        """
        tokenizer = self.tokenizer
        opening = [tokenizer.bos_id, *([tokenizer.role_id("user")] if tokenizer.is_chat else [])]
        if len(opening) > self.config.block_size:
            what = f"block_size {self.config.block_size} is too small for a prompt"
            raise PromptError(f"{what}; train a model with a larger --block-size")
        if not isinstance(prompt, str):
            return [*([] if prompt[:1] == [tokenizer.bos_id] else opening), *prompt]
        return opening + tokenizer.encode(prompt or self._start)

    def generate_from_prompt(
        self,
        tokens: Sequence[int],
        *,
        stop: Collection[int],
        max_tokens: int | None = None,
        rng: random.Random,
        **sampling: Unpack[SamplingArguments],
    ) -> TokenStream:
        """Return a stream of the tokens that follow a prompt of 1 to block_size tokens.

        Do not use `rng` until the stream ends or is closed, because tokens are sampled in advance.
        """
        self.check_prompt(tokens, max_tokens)
        rules = DecodeRules(stop, max_tokens=max_tokens, sampling=Sampling(**sampling))
        return TokenStream(self.engine_model.decode(tokens, rules, rng))

    def chat(
        self,
        messages: Iterable[AnyMessage] | str,
        *,
        max_tokens: int | None = None,
        seed: int = DEFAULT_SEED,
        **sampling: Unpack[SamplingArguments],
    ) -> Reply:
        """Return the assistant's reply to a conversation or to one user message.

        Args:
            messages: `Message`s, or dicts such as {"role": "user", "content": "hi"}; the oldest
                are dropped if the context is too small.
            sampling: temperature, top_k, top_p and min_p; see `Sampling`.
        """
        if isinstance(messages, str):
            messages = [Message("user", messages)]
        prompt, settings = self.chat_prompt(messages), Sampling(**sampling)
        job = self.reply_job(prompt, sampling=settings, max_tokens=max_tokens, seed=seed)
        content = self.tokenizer.decode(stream := self.stream(job))
        assert stream.finish_reason
        return Reply(
            content, stream.finish_reason, prompt.tokens_dropped, prompt.unknown_characters
        )

    def chat_prompt(self, messages: Iterable[AnyMessage]) -> ChatPrompt:
        """Return the prompt of a conversation, truncated to the context; see `fit_conversation`.

        A plug-in can replace the messages that the model reads, or provide a fixed reply.
        """
        conversation = as_conversation("messages", messages)
        found = (hook.choose(conversation) for hook in self._hooks)
        chosen = next((each for each in found if each is not None), conversation)
        read = [Message("user", "")] if isinstance(chosen, str) else chosen
        prompt = fit_conversation(read, self.tokenizer, self.config.block_size)
        n_replies = sum(message.role == "assistant" for message in conversation)
        fixed = None
        if isinstance(chosen, str):  # a fixed reply; its unknown characters are removed
            fixed = self.tokenizer.encode(chosen.translate(self.tokenizer.reading(chosen)))
        return replace(prompt, n_replies=n_replies, fixed_reply=fixed)

    def reply_job(
        self,
        prompt: ChatPrompt,
        num_replies: int = 1,
        *,
        sampling: Sampling | None = None,
        max_tokens: int | None = None,
        seed: int = DEFAULT_SEED,
    ) -> Job:
        """Return a `Job` for replies to a prompt; the first seed is seed + `prompt.n_replies`."""
        num_replies, seed = checked("num_replies", num_replies, int), check_seed(seed)
        self.check_prompt(prompt.tokens, max_tokens)
        end_turn = self.tokenizer.end_turn_id
        forbidden = tuple(token for token in self.tokenizer.special_ids if token != end_turn)
        for hook in reversed(self._hooks):  # the first hook takes precedence
            sampling = hook.sampling or sampling
        rules = DecodeRules((end_turn,), forbidden, 1, max_tokens, sampling or Sampling())
        first, fixed = seed + prompt.n_replies, None
        if prompt.fixed_reply is not None:
            tokens = [*prompt.fixed_reply[:max_tokens]]
            is_whole = len(tokens) == len(prompt.fixed_reply)
            fixed = Continuation(tokens, "stop" if is_whole else "length")
        return Job([prompt.tokens], range(first, first + num_replies), rules, fixed=fixed)

    def stream(self, job: Job, rng: random.Random | None = None) -> TokenStream:
        """Return the first continuation of a job as a stream; `rng` replaces the job's seed."""
        if job.fixed:
            return TokenStream(_repeated(job.fixed))
        rng = rng or random.Random(job.seeds[0])
        return TokenStream(self.engine_model.decode(job.prompts[0], job.rules, rng))

    def decode(self, jobs: Iterable[Job], *, threads: int = 1) -> Iterator[list[int]]:
        """Yield the tokens of each job's first continuation; all jobs must have the same rules."""
        check_engine(self.engine, None, threads)
        if not (jobs := list(jobs)):
            return
        drawn = [job for job in jobs if not job.fixed]
        prompts, seeds = [job.prompts[0] for job in drawn], [job.seeds[0] for job in drawn]
        decoded = self.engine_model.decode_many(prompts, seeds, jobs[0].rules, threads=threads)
        for job in jobs:
            yield job.fixed.tokens if job.fixed else next(decoded)


def _repeated(fixed: Continuation) -> Generator[int, None, FinishReason]:
    yield from fixed.tokens
    assert fixed.finish_reason
    return fixed.finish_reason
