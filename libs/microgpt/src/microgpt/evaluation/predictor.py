"""Compute the held-out loss and log-probabilities of a trained model."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from microgpt.config import (
    MAX_NEW_TOKENS,
    EngineName,
    TextKind,
    TrainConfig,
    check_choice,
)
from microgpt.data.chunked_dataset import scored
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import (
    Document,
    as_documents,
    count_predictions,
)
from microgpt.errors import ConfigError, DataError, PromptError
from microgpt.evaluation.held_out_loss import EvaluationSet, HeldOutLoss
from microgpt.model import Gpt, Weights
from microgpt.model_config import check_whole, count_params
from microgpt.model_variants import gpt_type
from microgpt.sampling import n_kept
from microgpt.state import TrainedModel
from microgpt.training.engines import (
    EngineModel,
    check_engine,
    default_engine,
    engine_module,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Predictor:
    """A read-only next-token predictor that threads can share."""

    def __init__(self, trained: TrainedModel, *, engine: EngineName | None = None) -> None:
        """Copy a model returned by `train` or `load`.

        The engine is "compiled", or "reference" for slow plain Python; see `default_engine`. In
        float64, both give the same results; in float32, rounding may change a sampled token.
        """
        engine = default_engine() if engine is None else engine
        check_choice("engine", engine, EngineName)
        if not isinstance(trained, TrainedModel):
            raise ConfigError(f'pass the result of train() or load("output"), not {trained!r:.60}')
        frozen = {name: tuple(tuple(row) for row in rows) for name, rows in trained.weights.items()}
        self._gpt: Gpt[float] = gpt_type(trained.model)(trained.model, frozen)
        self.config, self.tokenizer, self.engine = trained.model, trained.tokenizer, engine
        self._dtype = trained.dtype

    def __repr__(self) -> str:
        size = self.config.block_size
        return f"<{type(self).__name__}: {self.num_params:,} weights, block_size {size}>"

    @property
    def num_params(self) -> int:
        """The number of weights."""
        return count_params(self.config)

    @property
    def weights(self) -> Weights[float]:
        """The weights: the rows of each matrix, by matrix name."""
        return self._gpt.weights

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
        check_choice("text", text, TextKind)
        docs, block_size = as_documents(docs), self.config.block_size
        chunks = scored(docs, self.tokenizer, block_size, text=text)
        n_characters = sum(count_predictions(doc, text, len) for doc in docs)
        evaluation_set = EvaluationSet(chunks, n_characters=n_characters)
        if not evaluation_set.n_tokens:
            raise DataError(
                "there are no documents to evaluate, or the conversations have no assistant replies"
            )
        evaluation = evaluation_set.evaluate(partial(self.engine_model.nll, threads=threads))
        assert evaluation is not None
        return evaluation

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
        return engine_module(self.engine).make_model(self.config, self._gpt.weights, self._dtype)

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
