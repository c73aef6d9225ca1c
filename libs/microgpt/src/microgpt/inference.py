"""A trained model in use: samples, completions and chat.

An `InferenceGpt` is read-only, so threads can share it; every sequence has a cache and a generator
of random numbers of its own. This module knows nothing of files, terminals or HTTP.
"""

import random
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from microgpt.config import (
    DEFAULT_SEED,
    DEFAULT_TEMPERATURE,
    ModelConfig,
    check_seed,
    check_temperature,
)
from microgpt.errors import ConfigError, DataError, PromptError
from microgpt.model import Gpt, count_params
from microgpt.sampling import FinishReason, decode
from microgpt.state import TrainedModel
from microgpt.tokenizer import CharTokenizer, Document, Message
from microgpt.windows import windows

if TYPE_CHECKING:
    from microgpt.engine.model import CompiledModel


class TokenStream(Iterator[int]):
    """The tokens of one sequence, each computed when it is asked for.

    Attributes:
        finish_reason: None until the stream has ended; then "stop" after a stop token, or "length"
            when the context or max_tokens was reached.
    """

    def __init__(self, steps: Generator[int, None, FinishReason]) -> None:
        self.finish_reason: FinishReason | None = None
        self._steps = steps

    def __next__(self) -> int:
        try:
            return next(self._steps)
        except StopIteration as end:
            self.finish_reason = self.finish_reason or end.value
            raise


@dataclass(frozen=True)
class ChatPrompt:
    """A conversation as the model reads it.

    Attributes:
        tokens: [BOS, turns…, assistant].
        tokens_dropped: the tokens of old turns that had no room.
        unknown_characters: what the model cannot read and was left out, each character once.
        n_replies: the assistant's turns so far, those dropped included.
    """

    tokens: Sequence[int]
    tokens_dropped: int
    unknown_characters: str
    n_replies: int


@dataclass(frozen=True)
class Reply:
    """The assistant's next turn; for the other fields see `ChatPrompt` and `TokenStream`."""

    content: str
    finish_reason: FinishReason
    tokens_dropped: int
    unknown_characters: str


@dataclass(frozen=True)
class Evaluation:
    """How well a model predicts documents.

    Attributes:
        loss: the mean surprise at a token, the end of each document included, in nats.
        n_docs: the documents.
        n_tokens: the tokens that were predicted.
    """

    loss: float
    n_docs: int
    n_tokens: int


class InferenceGpt:
    """A model that generates text.

    Example:
        >>> from microgpt import InferenceGpt, TrainConfig
        >>> from microgpt.train import train
        >>> model = InferenceGpt(train(["anna"], config=TrainConfig(steps=60)))
        >>> model.generate(num_samples=2)
        ['anna', 'anna']
    """

    def __init__(self, trained: TrainedModel) -> None:
        frozen = {name: tuple(tuple(row) for row in rows) for name, rows in trained.weights.items()}
        self._gpt: Gpt[float] = Gpt(trained.model, frozen)
        self.config: ModelConfig = trained.model
        self.tokenizer: CharTokenizer = trained.tokenizer

        self._dtype = trained.dtype

    @property
    def num_params(self) -> int:
        """The number of weights."""
        return count_params(self.config)

    def evaluate(self, docs: Iterable[Document]) -> Evaluation:
        """Return how well the model predicts documents, which should not be those it learnt from.

        One that is longer than the context is read in overlapping windows, so that each token is
        predicted once and from at least half a context.

        Raises:
            DataError: there are no documents.
            TokenizerError: a document has a character that the model does not know.
        """
        encoded = [self.tokenizer.encode_document(doc) for doc in docs]
        if not encoded:
            raise DataError("there are no documents to evaluate")
        pieces = [piece for doc in encoded for piece in windows(doc, self.config.block_size)]
        losses = self._compiled.losses([tokens for tokens, _ in pieces])
        first = 0
        for tokens, n_made in pieces:
            losses[first : first + n_made] = 0  # an earlier window has made these
            first += len(tokens) - 1
        n_tokens = sum(len(doc) - 1 for doc in encoded)
        return Evaluation(float(losses.sum()) / n_tokens, len(encoded), n_tokens)

    @cached_property
    def _compiled(self) -> "CompiledModel":
        from microgpt.engine.model import CompiledModel

        return CompiledModel(self.config, self._gpt.weights, self._dtype)

    def generate(
        self,
        num_samples: int = 1,
        *,
        prompt: str = "",
        temperature: float = DEFAULT_TEMPERATURE,
        seed: int = DEFAULT_SEED,
        max_tokens: int | None = None,
        rng: random.Random | None = None,
    ) -> list[str]:
        """Return texts as the model makes them up, each with the prompt that it begins with.

        A chat model makes up what a user might say.

        Args:
            num_samples: how many.
            prompt: how each text begins.
            temperature: 0 always takes the likeliest character, 1 follows the model's odds.
            seed: of the first text; text i has the seed `seed + i`.
            max_tokens: the most characters after the prompt; by default the context is the limit.
            rng: draws all texts from one generator instead of from seeds.

        Raises:
            PromptError: the prompt does not fit into the context.
            TokenizerError: the prompt has a character that the model does not know.
            ConfigError: a setting is outside its range.
        """
        if num_samples < 1:
            raise ConfigError(f"num_samples must be >= 1, got {num_samples}")
        check_seed(seed)
        tokenizer = self.tokenizer
        opening = [tokenizer.bos_id, *([tokenizer.role_id("user")] if tokenizer.is_chat else [])]
        tokens = opening + tokenizer.encode(prompt)
        if len(tokens) > self.config.block_size:
            raise PromptError(
                f"the prompt has {len(prompt)} characters; at most "
                f"{max(0, self.config.block_size - len(opening))} fit into the context of "
                f"{self.config.block_size} tokens"
            )
        return [
            prompt
            + tokenizer.decode(
                self.generate_from_prompt(
                    tokens,
                    stop=tokenizer.special_ids,
                    temperature=temperature,
                    rng=rng or random.Random(seed + i),
                    max_tokens=max_tokens,
                )
            )
            for i in range(num_samples)
        ]

    def generate_from_prompt(
        self,
        tokens: Sequence[int],
        *,
        stop: Collection[int],
        forbidden: Collection[int] = (),
        min_tokens: int = 0,
        max_tokens: int | None = None,
        temperature: float = DEFAULT_TEMPERATURE,
        rng: random.Random,
    ) -> TokenStream:
        """Return the tokens that follow the given ones, as they are computed.

        Args:
            tokens: what the model reads first: 1 to block_size tokens.
            stop: the tokens that end the sequence; they are not returned.
            forbidden: the tokens that must not come.
            min_tokens: no stop token comes before this many tokens.
            max_tokens: the most tokens; by default the context is the limit.
            temperature: 0 always takes the likeliest token, 1 follows the model's odds.
            rng: gives one uniform a token.

        Raises:
            PromptError: there are no tokens, or more than block_size, or unknown ones.
            ConfigError: a setting is outside its range.
        """
        check_temperature(temperature)
        if max_tokens is not None and max_tokens < 1:
            raise ConfigError(f"max_tokens must be >= 1, got {max_tokens}")
        if not 1 <= len(tokens) <= self.config.block_size:
            raise PromptError(
                f"a prompt has 1 to {self.config.block_size} tokens, this one {len(tokens)}"
            )
        if not all(0 <= token < self.config.vocab_size for token in tokens):
            raise PromptError(f"a prompt's tokens are 0 to {self.config.vocab_size - 1}")
        return TokenStream(
            decode(
                self._gpt,
                tokens,
                stop=stop,
                forbidden=forbidden,
                min_tokens=min_tokens,
                max_tokens=max_tokens,
                temperature=temperature,
                rng=rng,
            )
        )

    def chat(
        self,
        messages: Iterable[Message],
        *,
        temperature: float = DEFAULT_TEMPERATURE,
        seed: int = DEFAULT_SEED,
        max_tokens: int | None = None,
    ) -> Reply:
        """Return the assistant's reply to a conversation; for the errors see `chat_prompt`."""
        prompt = self.chat_prompt(messages)
        stream = self.reply(prompt, temperature=temperature, seed=seed, max_tokens=max_tokens)
        content = self.tokenizer.decode(stream)
        assert stream.finish_reason is not None
        return Reply(
            content, stream.finish_reason, prompt.tokens_dropped, prompt.unknown_characters
        )

    def chat_prompt(self, messages: Iterable[Message]) -> ChatPrompt:
        """Fit a conversation into the context, with a quarter of it left for the reply.

        Where it is too long, the oldest turns go, whole, and a reply goes with its question; the
        last message always stays.

        Raises:
            PromptError: there are no messages, or the last one does not fit.
            TokenizerError: the model has no chat tokens.
        """
        messages = list(messages)
        if not messages:
            raise PromptError("messages must not be empty")
        tokenizer, block_size = self.tokenizer, self.config.block_size
        unknown = tokenizer.unknown_characters("".join(message.content for message in messages))
        leave_out = str.maketrans("", "", unknown)
        turns = [
            tokenizer.encode_turn(Message(message.role, message.content.translate(leave_out)))
            for message in messages
        ]
        room = block_size - block_size // 4 - 2  # BOS before the turns, the role after them
        if len(turns[-1]) > room:
            raise PromptError(  # a turn is two tokens longer than its text
                f"the message has {len(turns[-1]) - 2} characters; at most {max(0, room - 2)} fit "
                f"into the context of {block_size} tokens"
            )
        n_kept = n_tokens = 0
        for turn in reversed(turns):
            if n_tokens + len(turn) > room:
                break
            n_kept, n_tokens = n_kept + 1, n_tokens + len(turn)
        while 1 < n_kept < len(turns) and messages[-n_kept].role == "assistant":
            n_kept -= 1
        kept = list(chain.from_iterable(turns[-n_kept:]))
        return ChatPrompt(
            tokens=[tokenizer.bos_id, *kept, tokenizer.role_id("assistant")],
            tokens_dropped=sum(map(len, turns)) - len(kept),
            unknown_characters=unknown,
            n_replies=sum(message.role == "assistant" for message in messages),
        )

    def reply(
        self,
        prompt: ChatPrompt,
        *,
        temperature: float = DEFAULT_TEMPERATURE,
        seed: int = DEFAULT_SEED,
        max_tokens: int | None = None,
    ) -> TokenStream:
        """Return the tokens of the assistant's reply, as they are computed; at least one.

        Reply t of a conversation has the seed `seed + t`.

        Raises:
            ConfigError: a setting is outside its range.
        """
        check_seed(seed)
        end_turn = self.tokenizer.end_turn_id
        return self.generate_from_prompt(
            prompt.tokens,
            stop=(end_turn,),
            forbidden=[token for token in self.tokenizer.special_ids if token != end_turn],
            min_tokens=1,
            max_tokens=max_tokens,
            temperature=temperature,
            rng=random.Random(seed + prompt.n_replies),
        )
