"""Generate samples, completions and chat replies with a trained model.

An `InferenceGpt` is read-only, so threads can share it.
"""

import random
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import count, islice, repeat
from typing import TYPE_CHECKING, Any

from microgpt.config import (
    DEFAULT_SEED,
    MAX_NEW_TOKENS,
    EngineName,
    Sampling,
    TextKind,
    TrainConfig,
    check_choice,
    check_count,
    check_seed,
)
from microgpt.data.chat_truncation import ChatPrompt, fit_conversation
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import Document, Message, Tokenizer
from microgpt.errors import ConfigError, PromptError
from microgpt.evaluation.held_out_loss import EvaluationSet, HeldOutLoss
from microgpt.model import Weights
from microgpt.model_config import check_whole, count_params
from microgpt.replies import reply_plugin
from microgpt.sampling import (
    Continuation,
    DecodeRules,
    FinishReason,
    Job,
    TokenStream,
    n_kept,
    new_context,
)
from microgpt.state import TrainedModel
from microgpt.training.engines import EngineModel, check_engine, default_engine, engine_module

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_BATCH, LAST_BATCH = 64, 1024  # initial and maximum batch size per thread


@dataclass(frozen=True)
class Reply:
    """The assistant's reply; see `ChatPrompt` and `TokenStream` for the other fields."""

    content: str
    finish_reason: FinishReason
    tokens_dropped: int
    unknown_characters: str


class InferenceGpt:
    """A read-only model that generates text and predicts tokens; threads can share it.

    Examples:
        >>> from microgpt import InferenceGpt, TrainConfig, train
        >>> model = InferenceGpt(train(["anna"], config=TrainConfig(steps=60)))
        >>> model.generate(num_samples=2)
        ['anna', 'anna']
        >>> model.generate(prompt="an")
        ['anna']
    """

    def __init__(
        self,
        trained: TrainedModel,
        *,
        engine: EngineName | None = None,
        chat_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Copy a model returned by `train` or `load`.

        Args:
            engine: "compiled", or "reference" for slow plain Python; see `default_engine`. In
                float64, both give the same results; in float32, rounding may change a sampled
                token.
            chat_options: options of the model's plug-in, if any, such as {"suggest": True}.

        Raises:
            PluginError: the model replies with a plug-in that is not installed.
        """
        engine = default_engine() if engine is None else engine
        check_choice("engine", engine, EngineName)
        if not isinstance(trained, TrainedModel):
            raise ConfigError(f'pass the result of train() or load("output"), not {trained!r:.60}')
        self.weights: Weights[float] = {  # the rows of each matrix, by matrix name
            name: tuple(map(tuple, rows)) for name, rows in trained.weights.items()
        }
        self.config, self.tokenizer, self.engine = trained.model, trained.tokenizer, engine
        self._dtype = trained.dtype
        self._hooks = [
            reply_plugin(name).hook(facts, self.tokenizer, chat_options or {})
            for name, facts in trained.extra.items()
        ]

    def __repr__(self) -> str:
        size = self.config.block_size
        return f"<{type(self).__name__}: {self.num_params:,} weights, block_size {size}>"

    @property
    def num_params(self) -> int:
        """The number of weights."""
        return count_params(self.config)

    @property
    def fixed_sampling(self) -> Sampling | None:
        """The sampling of all replies if a plug-in sets it; None if the caller chooses it."""
        return next((hook.sampling for hook in self._hooks if hook.sampling), None)

    def generate(
        self,
        num_samples: int = 1,
        *,
        prompt: str = "",
        temperature: float = Sampling.temperature,
        top_k: int | None = None,
        top_p: float = 1.0,
        min_p: float = 0.0,
        stop: Collection[str] = (),
        max_tokens: int | None = None,
        seed: int = DEFAULT_SEED,
        rng: random.Random | None = None,
        threads: int = 1,
    ) -> list[str]:
        """Return sampled texts, each starting with the prompt; a chat model samples user messages.

        Args:
            stop: stop strings; a text ends before the first stop string after the prompt.
            prompt: start of each text. If the prompt exceeds the context, the model reads only the
                start token and the last block_size // 2 tokens.
            max_tokens: maximum number of new tokens; by default, the text ends when the context is
                full. With a larger limit, a new context starts with the start token and the last
                half.
            seed: seed of the first text; text i uses seed + i.
            rng: random generator for all texts, used instead of the seeds.

        Raises:
            PromptError: the context is too small for any prompt.
            TokenizerError: the prompt contains an unknown character.
            ConfigError: a setting is out of range.
        """
        if num_samples is None:
            raise ConfigError("num_samples must be an integer, got None; `samples` has no limit")
        texts = self.samples(
            num_samples,
            prompt=prompt,
            sampling=Sampling(temperature, top_k, top_p, min_p),
            stop=stop,
            max_tokens=max_tokens,
            seed=seed,
            rng=rng,
            threads=threads,
        )
        return list(texts)

    def samples(
        self,
        num_samples: int | None = None,
        *,
        prompt: str = "",
        sampling: Sampling | None = None,
        stop: Collection[str] = (),
        max_tokens: int | None = None,
        seed: int = DEFAULT_SEED,
        rng: random.Random | None = None,
        threads: int = 1,
    ) -> Iterator[str]:
        """Yield the texts of `generate` one by one, or infinitely many if num_samples is None."""
        check_engine(self.engine, None, threads)
        if max_tokens is not None:
            check_count("max_tokens", max_tokens)
        _check_stop(stop)
        n = 1 if num_samples is None else num_samples
        job = self.text_job(
            n, prompts=[prompt], sampling=sampling, max_tokens=max_tokens, seed=seed
        )
        (tokens,), rules, stop = job.prompts, job.rules, tuple(stop)
        stop_ids = self.tokenizer.tokens_of(stop)
        if len(stop_ids) == len(stop):  # every stop string is a single token
            rules = replace(rules, stop=(*rules.stop, *stop_ids))
        if rng is not None and threads > 1:
            raise ConfigError("rng cannot be used with several threads; omit threads")
        if rng is not None or self.engine == "reference":
            rngs = repeat(rng) if rng is not None else map(random.Random, count(seed))
            streams = (self._stream(tokens, rules, each) for each in rngs)
            texts = (prompt + _text_until(stream, self.tokenizer, stop) for stream in streams)
            return islice(texts, num_samples)
        sequences = self._decode_batches(tokens, rules, num_samples, seed, threads)
        return (prompt + cut_at_stop(self.tokenizer.decode(each), stop) for each in sequences)

    def _decode_batches(
        self, tokens: Sequence[int], rules: DecodeRules, n: int | None, seed: int, threads: int
    ) -> Iterator[list[int]]:
        """Yield n continuations, or infinitely many if n is None, in batches of increasing size."""
        n_made, n_together = 0, FIRST_BATCH * threads
        while n is None or n_made < n:
            n_now = n_together if n is None else min(n_together, n - n_made)
            seeds = range(seed + n_made, seed + n_made + n_now)
            sequences = [tokens] * n_now
            yield from self.engine_model.decode_many(sequences, seeds, rules, threads=threads)
            n_made += n_now
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
        """Return a `Job` for `samples`, without stop strings; see `opening` for prompt types."""
        check_count("num_samples", num_samples)
        check_seed(seed)
        if self._hooks and max_tokens != 0:
            raise PromptError(
                "the model only answers questions and cannot continue a text; use chat"
            )
        n_dropped, openings = 0, [self.opening(prompt) for prompt in prompts]
        for i, tokens in enumerate(openings):
            if len(tokens) > self.config.block_size:
                openings[i] = new_context(tokens, self.config.block_size)
                n_dropped += len(tokens) - len(openings[i])
            self.check_prompt(openings[i], max_tokens or None)
        sampling = Sampling() if sampling is None else sampling
        stop = tuple(self.tokenizer.special_ids)
        rules = DecodeRules(stop, max_tokens=max_tokens, sampling=sampling)
        return Job(openings, range(seed, seed + num_samples), rules, n_dropped)

    def opening(self, prompt: str | Sequence[int]) -> list[int]:
        """Return the tokens of a text or token prompt, starting with BOS.

        Token prompts that start with `bos_id` are returned unchanged.

        Raises:
            PromptError: the context is too small for any prompt, or a token is unknown.
            TokenizerError: the prompt contains an unknown character.
        """
        tokenizer = self.tokenizer
        opening = [tokenizer.bos_id, *([tokenizer.role_id("user")] if tokenizer.is_chat else [])]
        if len(opening) > self.config.block_size:
            raise PromptError(
                f"block_size {self.config.block_size} is too small for a prompt; "
                "train a model with a larger --block-size"
            )
        if not isinstance(prompt, str):
            self.check_tokens(prompt)
            return [*([] if prompt[:1] == [tokenizer.bos_id] else opening), *prompt]
        return opening + tokenizer.encode(prompt)

    def generate_from_prompt(
        self,
        tokens: Sequence[int],
        *,
        stop: Collection[int],
        forbidden: Collection[int] = (),
        min_tokens: int = 0,
        max_tokens: int | None = None,
        sampling: Sampling | None = None,
        rng: random.Random,
    ) -> TokenStream:
        """Return a stream of the tokens that follow a prompt.

        Do not use `rng` until the stream ends or is closed, because tokens are sampled in advance.

        Raises:
            PromptError: the prompt is empty, exceeds block_size, or contains an unknown token.
        """
        self.check_prompt(tokens, max_tokens)
        sampling = Sampling() if sampling is None else sampling
        rules = DecodeRules(stop, forbidden, min_tokens, max_tokens, sampling)
        return self._stream(tokens, rules, rng)

    def _stream(self, tokens: Sequence[int], rules: DecodeRules, rng: random.Random) -> TokenStream:
        return TokenStream(self.engine_model.decode(tokens, rules, rng))

    def chat(
        self,
        messages: Iterable[Message] | str,
        *,
        sampling: Sampling | None = None,
        seed: int = DEFAULT_SEED,
        max_tokens: int | None = None,
    ) -> Reply:
        """Return the assistant's reply to a conversation or to one user message.

        See `chat_prompt` and `reply`.
        """
        if isinstance(messages, str):
            messages = [Message("user", messages)]
        prompt = self.chat_prompt(messages)
        stream = self.reply(prompt, sampling=sampling, seed=seed, max_tokens=max_tokens)
        content = self.tokenizer.decode(stream)
        end = stream.finish_reason
        assert end is not None
        return Reply(content, end, prompt.tokens_dropped, prompt.unknown_characters)

    def chat_prompt(self, messages: Iterable[Message]) -> ChatPrompt:
        """Return a conversation, truncated to fit into the context; see `fit_conversation`.

        A plug-in may choose other messages for the model to read, or the reply.
        """
        messages = list(messages) if isinstance(messages, Iterable) else [messages]
        chosen = None
        if all(isinstance(one, Message) for one in messages):
            found = (hook.choose(messages) for hook in self._hooks)
            chosen = next((each for each in found if each is not None), None)
        if chosen is None:
            return fit_conversation(messages, self.tokenizer, self.config.block_size)
        read = [Message("user", "")] if isinstance(chosen, str) else chosen
        prompt = fit_conversation(read, self.tokenizer, self.config.block_size)
        n_replies = sum(message.role == "assistant" for message in messages)
        fixed = None
        if isinstance(chosen, str):  # without the characters that the model does not know
            fixed = self.tokenizer.encode(chosen.translate(self.tokenizer.reading(chosen)))
        return replace(prompt, n_replies=n_replies, fixed_reply=fixed)

    def reply(
        self,
        prompt: ChatPrompt,
        *,
        sampling: Sampling | None = None,
        seed: int = DEFAULT_SEED,
        max_tokens: int | None = None,
    ) -> TokenStream:
        """Return the tokens of the assistant's reply, sampled with seed + `prompt.n_replies`."""
        job = self.reply_job(prompt, sampling=sampling, max_tokens=max_tokens, seed=seed)
        if job.fixed:
            return TokenStream(_repeated(job.fixed))
        return self._stream(prompt.tokens, job.rules, random.Random(job.seeds[0]))

    def replies(
        self,
        prompts: Sequence[ChatPrompt],
        *,
        sampling: Sampling | None = None,
        seed: int = DEFAULT_SEED,
        threads: int = 1,
    ) -> Iterator[list[int]]:
        """Yield the tokens of the reply to each prompt, as `reply` does for one prompt."""
        check_engine(self.engine, None, threads)
        jobs = [self.reply_job(prompt, sampling=sampling, seed=seed) for prompt in prompts]
        open_jobs = [job for job in jobs if not job.fixed]
        decoded: Iterator[list[int]] = iter(())
        if open_jobs:
            tokens, seeds = zip(*((job.prompts[0], job.seeds[0]) for job in open_jobs), strict=True)
            rules = open_jobs[0].rules
            decoded = self.engine_model.decode_many(tokens, seeds, rules, threads=threads)
        for job in jobs:
            yield job.fixed.tokens if job.fixed else next(decoded)

    def reply_job(
        self,
        prompt: ChatPrompt,
        num_replies: int = 1,
        *,
        sampling: Sampling | None = None,
        max_tokens: int | None = None,
        seed: int = DEFAULT_SEED,
    ) -> Job:
        """Return a `Job` for several replies to a prompt, with consecutive seeds."""
        check_count("num_replies", num_replies)
        check_seed(seed)
        self.check_prompt(prompt.tokens, max_tokens)
        end_turn = self.tokenizer.end_turn_id
        forbidden = tuple(token for token in self.tokenizer.special_ids if token != end_turn)
        sampling = self.fixed_sampling or sampling or Sampling()
        rules = DecodeRules((end_turn,), forbidden, 1, max_tokens, sampling)
        first, fixed = seed + prompt.n_replies, None
        if prompt.fixed_reply is not None:
            tokens = [*prompt.fixed_reply[:max_tokens]]
            is_whole = len(tokens) == len(prompt.fixed_reply)
            end: FinishReason = "stop" if is_whole else "length"
            fixed = Continuation(tokens, end)
        return Job([prompt.tokens], range(first, first + num_replies), rules, fixed=fixed)

    def evaluate(
        self,
        docs: Iterable[Document],
        *,
        text: TextKind = TrainConfig.text,
        threads: int = 1,
    ) -> HeldOutLoss:
        """Return the loss of held-out documents.

        Documents longer than the context are read in overlapping windows. Each token is predicted
        once; after the first window, at least half a context precedes each predicted token.

        Args:
            docs: texts or conversations.
            text: "stream" for running text, which has no start and no end.

        Raises:
            ConfigError: a setting is out of range or unknown.
            DataError: there are no documents.
            TokenizerError: a document contains an unknown character.
        """
        check_engine(self.engine, None, threads)
        read = EvaluationSet.of(docs, self.tokenizer, self.config.block_size, text)
        loss = read.evaluate(partial(self.engine_model.nll, threads=threads))
        assert loss
        return loss

    def log_probabilities(self, tokens: Sequence[int], first: int = 0) -> list[list[float]]:
        """Return log(softmax(logits)) after each token, starting at index `first`: (n, V).

        Tokens beyond the context are read as in generation: when the context is full, a new context
        starts with the first token and the last half.

        Raises:
            PromptError: there are no tokens, or a token is unknown.
        """
        return list(self.log_probability_rows(tokens, first))

    def log_probability_rows(self, tokens: Sequence[int], first: int = 0) -> Iterator[list[float]]:
        """Yield the rows of `log_probabilities` one by one, which saves memory."""
        if not tokens:
            raise PromptError("tokens must not be empty")
        self.check_tokens(tokens)
        start, known, size = 0, 0, self.config.block_size
        while known < len(tokens):
            end = min(start + size, len(tokens))
            if end > first:
                context, new = [*tokens[start:end]], max(known, first) - start
                if size > 1:
                    context[0] = tokens[0]
                yield from self.engine_model.activations(context).log_probabilities(new)
            start, known = end + 1 - n_kept(size), end

    def losses(self, docs: TokenDataset) -> "NDArray[Any]":
        """Return the negative log-likelihood of each prediction in nats; 0 if it is masked.

        Each document must have 2 to block_size + 1 tokens.
        """
        import numpy as np

        return self.engine_model.losses(docs) if len(docs) else np.empty(0)

    @cached_property
    def engine_model(self) -> EngineModel:
        """The model on its engine, built on first use."""
        return engine_module(self.engine).make_model(self.config, self.weights, self._dtype)

    def check_prompt(self, tokens: Sequence[int], max_tokens: int | None) -> None:
        """Raise PromptError for an invalid prompt, and ConfigError for an invalid max_tokens."""
        if max_tokens is not None:
            check_whole("max_tokens", max_tokens, minimum=1, maximum=MAX_NEW_TOKENS)
        self.check_tokens(tokens)
        if not 1 <= len(tokens) <= self.config.block_size:
            raise PromptError(
                f"a prompt must have 1 to {self.config.block_size} tokens, got {len(tokens)}"
            )

    def check_tokens(self, tokens: Sequence[int]) -> None:
        """Raise PromptError if a token is not in the vocabulary."""
        if tokens and (min(tokens) < 0 or max(tokens) >= self.config.vocab_size):
            raise PromptError(
                f"the tokens of a prompt must be from 0 to {self.config.vocab_size - 1}"
            )


def cut_at_stop(text: str, stop: tuple[str, ...], start: int = 0) -> str:
    """Return the text before the stop string that ends first, or all text if there is none.

    No stop string may begin before `start`.
    """
    places = [text.find(string, start) for string in stop]
    ends = [(place + len(stop[i]), place) for i, place in enumerate(places) if place >= 0]
    return text[: min(ends)[1]] if ends else text


def _text_until(stream: TokenStream, tokenizer: Tokenizer, stop: tuple[str, ...]) -> str:
    """Decode a stream up to the first stop string and return the text."""
    text = ""
    for piece in tokenizer.decode_stream(stream):
        text += piece
        if any(string in text for string in stop):
            stream.close()
            break
    return cut_at_stop(text, stop)


def _check_stop(stop: Collection[str]) -> None:
    if isinstance(stop, str):
        raise ConfigError("stop is a string; pass a list of strings")
    if "" in stop:
        raise ConfigError("a stop string must not be empty")


def _repeated(fixed: Continuation) -> Generator[int, None, FinishReason]:
    yield from fixed.tokens
    assert fixed.finish_reason
    return fixed.finish_reason
