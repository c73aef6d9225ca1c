"""Compute the token probabilities of a trained model, and its loss on documents."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial

from microgpt.config import MAX_NEW_TOKENS, EngineName, TextKind, TrainConfig, checked
from microgpt.data.contamination import trained_share
from microgpt.data.tokenizer import AnyDocument, Document, as_documents
from microgpt.errors import ConfigError, PromptError
from microgpt.evaluation import EvaluationSet, HeldOutLoss
from microgpt.model import Weights
from microgpt.parameters import count_params
from microgpt.training.engines import EngineModel, check_engine, default_engine, engine_module
from microgpt.training_state import TrainedModel, TrainResult


class LanguageModel:
    """A read-only model that predicts tokens; threads can share it."""

    def __init__(self, trained: TrainedModel, *, engine: EngineName | None = None) -> None:
        """Copy a model returned by `train` or `load`."""
        engine = default_engine() if engine is None else engine
        checked("engine", engine, EngineName)
        if not isinstance(trained, TrainedModel):
            raise ConfigError(f'pass the result of train() or load("output"), not {trained!r:.60}')
        self.weights: Weights[float] = {  # the rows of each matrix, by matrix name
            name: tuple(map(tuple, rows)) for name, rows in trained.weights.items()
        }
        self.config, self.tokenizer, self.engine = trained.model, trained.tokenizer, engine
        self._dtype, self._trained_on = trained.dtype, trained.trained_on
        self._read: Sequence[Document] = ()  # the training documents of a `TrainResult`, else empty
        self._read_text: TextKind = TrainConfig.text
        if isinstance(trained, TrainResult):
            self._read, self._read_text = trained.documents, trained.config.text

    @property
    def num_params(self) -> int:
        """The number of weights."""
        return count_params(self.config)

    @cached_property
    def engine_model(self) -> EngineModel:
        """The engine's copy of the model, created on first use."""
        return engine_module(self.engine).make_model(self.config, self.weights, self._dtype)

    def evaluate(
        self, docs: Iterable[AnyDocument], *, text: TextKind = TrainConfig.text, threads: int = 1
    ) -> HeldOutLoss:
        """Return the loss on documents, and the fraction of them that was used in training.

        Documents longer than the context are read in overlapping windows. Each token is predicted
        once; after the first window, at least half a context precedes each predicted token.

        Args:
            text: "stream" for running text, whose end is not predicted.

        Raises:
            ConfigError: a setting is out of range or unknown.
            DataError: there are no documents.
            TokenizerError: a document contains an unknown character.
        """
        check_engine(self.engine, None, threads)
        docs = as_documents(docs)
        read = EvaluationSet.from_documents(docs, self.tokenizer, self.config.block_size, text)
        loss = read.evaluate(partial(self.engine_model.nll, threads=threads))
        assert loss
        is_stream = "stream" in (text, self._read_text)
        share = trained_share(docs, self._trained_on, self._read, is_stream=is_stream)
        return replace(loss, contamination=share)

    def log_probabilities(self, tokens: Sequence[int], first: int = 0) -> Iterator[list[float]]:
        """Yield the log-probabilities (V) of the token after tokens[i], for i from `first` on."""
        self.check_prompt(tokens)
        return self.engine_model.log_probabilities(tokens, first)

    def check_prompt(self, tokens: Sequence[int], max_tokens: int | None = None) -> None:
        """Raise PromptError for an invalid prompt, and ConfigError for an invalid max_tokens."""
        checked("max_tokens", max_tokens, int | None, maximum=MAX_NEW_TOKENS)
        if tokens and (min(tokens) < 0 or max(tokens) >= self.config.vocab_size):
            raise PromptError(
                f"the tokens of a prompt must be from 0 to {self.config.vocab_size - 1}"
            )
        if not 1 <= len(tokens) <= self.config.block_size:
            raise PromptError(
                f"a prompt must have 1 to {self.config.block_size} tokens, got {len(tokens)}"
            )
