"""Inference: samples, completions and chat replies of a trained model.

An `InferenceGpt` is read-only, so threads can share it.
"""

import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, islice, repeat
from typing import Any

from microgpt.batching.sample_iterators import cut, one_by_one, together
from microgpt.config import (
    DEFAULT_SEED,
    DEFAULT_TEMPERATURE,
    Sampling,
    check_count,
    check_seed,
    check_threads,
)
from microgpt.data.chat_truncation import ChatPrompt, fit_conversation
from microgpt.data.tokenizer import Message
from microgpt.errors import ConfigError, PromptError
from microgpt.evaluation.predictor import Predictor, check_one_thread
from microgpt.sampling import FinishReason, TokenStream, decode


@dataclass(frozen=True)
class Reply:
    """The assistant's next turn; for the other fields see `ChatPrompt` and `TokenStream`."""

    content: str
    finish_reason: FinishReason
    tokens_dropped: int
    unknown_characters: str


class InferenceGpt(Predictor):
    """A model that generates text.

    Example:
        >>> from microgpt import InferenceGpt, TrainConfig
        >>> from microgpt.train import train
        >>> model = InferenceGpt(train(["anna"], config=TrainConfig(steps=60)))
        >>> model.generate(num_samples=2)
        ['anna', 'anna']
    """

    def generate(
        self,
        num_samples: int = 1,
        *,
        prompt: str = "",
        temperature: float = DEFAULT_TEMPERATURE,
        top_k: int | None = None,
        top_p: float = 1.0,
        min_p: float = 0.0,
        stop: Collection[str] = (),
        max_tokens: int | None = None,
        seed: int = DEFAULT_SEED,
        rng: random.Random | None = None,
        threads: int = 1,
    ) -> list[str]:
        """Return sampled texts, each with its prompt; a chat model samples messages of a user.

        Args:
            num_samples: how many.
            prompt: how each text begins.
            temperature: see `Sampling`, as top_k, top_p and min_p.
            top_k: see there.
            top_p: see there.
            min_p: see there.
            stop: a text ends before the first of these that comes after the prompt.
            max_tokens: the most tokens after the prompt; by default the context is the limit.
            seed: text i has the seed `seed + i`.
            rng: one generator for all texts, instead of seeds.
            threads: how many to use; the texts are the same.

        Raises:
            PromptError: the prompt does not fit into the context.
            TokenizerError: the prompt has a character that the model does not know.
            ConfigError: a setting is outside its range.
        """
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
        """Return the texts of `generate` one after another; without num_samples, for ever."""
        if num_samples is not None:
            check_count("num_samples", num_samples)
        check_seed(seed)
        check_threads(threads)
        if isinstance(stop, str):
            raise ConfigError("stop is one text; pass a list of texts")
        if "" in stop:
            raise ConfigError("a stop string must not be empty")
        tokens = self.opening(prompt)
        self.check_prompt(tokens, max_tokens)
        stop_ids = self.tokenizer.tokens_of(stop)
        if len(stop_ids) < len(stop):  # strings of more than one token are cut off afterwards
            stop_ids = []
        stop_ids += self.tokenizer.special_ids
        sampling = sampling or Sampling()
        settings: Any = {"stop": stop_ids, "max_tokens": max_tokens, "sampling": sampling}
        if rng is not None or self.engine == "reference":
            if threads > 1 and rng is not None:
                raise ConfigError("one generator serves one text at a time; leave threads out")
            check_one_thread(threads)
            rngs = repeat(rng) if rng is not None else map(random.Random, count(seed))
            streams = (self.generate_from_prompt(tokens, rng=each, **settings) for each in rngs)
            texts = one_by_one(streams, self.tokenizer, tuple(stop))
        else:
            continuations = together(
                self.compiled, tokens, n=num_samples, seed=seed, threads=threads, **settings
            )
            texts = (cut(self.tokenizer.decode(tokens), tuple(stop)) for tokens in continuations)
        return (prompt + text for text in islice(texts, num_samples))

    def opening(self, prompt: str | Sequence[int]) -> list[int]:
        """Return the tokens at the beginning of a text with this prompt.

        Args:
            prompt: text or tokens; tokens that begin with `bos_id` are returned unchanged.

        Raises:
            PromptError: the prompt does not fit into the context, or has an unknown token.
            TokenizerError: the prompt has a character that the model does not know.
        """
        tokenizer = self.tokenizer
        opening = [tokenizer.bos_id, *([tokenizer.role_id("user")] if tokenizer.is_chat else [])]
        room = self.config.block_size - len(opening)
        if room < 0:
            raise PromptError(
                f"the context of {self.config.block_size} token is too small for a text; "
                "train a model with a larger --block-size"
            )
        if not isinstance(prompt, str):
            tokens = [*([] if prompt[:1] == [tokenizer.bos_id] else opening), *prompt]
            self.check_prompt(tokens, None)
            return tokens
        if (n_tokens := tokenizer.count(prompt)) > room:
            raise PromptError(
                f"the prompt has {n_tokens} {tokenizer.unit}; at most {room} fit into the context "
                f"of {self.config.block_size} tokens"
            )
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
        """Return the tokens that follow a prompt, as they are computed.

        See `decode`, but do not share `rng`: until the stream ends or is closed it may be ahead.

        Raises:
            PromptError: there are no tokens, or more than block_size, or unknown ones.
            ConfigError: a setting is outside its range.
        """
        self.check_prompt(tokens, max_tokens)
        function = (
            partial(decode, self._gpt) if self.engine == "reference" else self.compiled.decode
        )
        steps = function(
            tokens,
            stop=stop,
            forbidden=forbidden,
            min_tokens=min_tokens,
            max_tokens=max_tokens,
            sampling=sampling or Sampling(),
            rng=rng,
        )
        return TokenStream(steps)

    def chat(
        self,
        messages: Iterable[Message],
        *,
        sampling: Sampling | None = None,
        seed: int = DEFAULT_SEED,
        max_tokens: int | None = None,
    ) -> Reply:
        """Return the assistant's reply to a conversation; see `chat_prompt` and `reply`."""
        prompt = self.chat_prompt(messages)
        stream = self.reply(prompt, sampling=sampling, seed=seed, max_tokens=max_tokens)
        content = self.tokenizer.decode(stream)
        end = stream.finish_reason
        assert end is not None
        return Reply(content, end, prompt.tokens_dropped, prompt.unknown_characters)

    def chat_prompt(self, messages: Iterable[Message]) -> ChatPrompt:
        """Fit a conversation into the context; see `fit_conversation`."""
        return fit_conversation(messages, self.tokenizer, self.config.block_size)

    def reply(
        self,
        prompt: ChatPrompt,
        *,
        sampling: Sampling | None = None,
        seed: int = DEFAULT_SEED,
        max_tokens: int | None = None,
    ) -> TokenStream:
        """Return the tokens of the assistant's reply; reply t of a conversation has seed + t."""
        check_seed(seed)
        end_turn = self.tokenizer.end_turn_id
        return self.generate_from_prompt(
            prompt.tokens,
            stop=(end_turn,),
            forbidden=[token for token in self.tokenizer.special_ids if token != end_turn],
            min_tokens=1,
            max_tokens=max_tokens,
            sampling=sampling,
            rng=random.Random(seed + prompt.n_replies),
        )
