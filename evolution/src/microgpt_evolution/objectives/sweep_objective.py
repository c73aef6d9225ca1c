"""Train a sweep configuration and measure its losses."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean
from time import perf_counter, thread_time
from typing import Self

from microgpt import (
    BpeTokenizer,
    ConfigError,
    DataError,
    InferenceGpt,
    ModelConfig,
    Split,
    Tokenizer,
    char_tokenizer,
    count_params,
    prepare_engine,
)
from microgpt_evolution.genome import Genome, training_flops
from microgpt_evolution.objectives.loss_objective import DIVERGED, TEMPERATURE, LossObjective
from microgpt_evolution.objectives.own_objective import OwnFunction
from microgpt_evolution.organism import Evaluation, ShouldStop
from microgpt_evolution.sweep.records import SweepSettings

_load_kernels = cache(prepare_engine)  # a worker on another machine starts without kernels
N_SAMPLES = 3  # number of samples per model, as in the tables of evolve-rust


@dataclass(frozen=True)
class SweepObjective:
    """Trains a sweep configuration on documents and measures its losses."""

    data: LossObjective  # provides documents, tokenizer and held-out loss

    @classmethod
    def of(
        cls,
        parts: Split,
        sweep: SweepSettings | None = None,
        function: Callable[..., float] | None = None,
    ) -> Self:
        """Create the objective of a sweep (default: documents are lines, tokens are characters).

        Args:
            function: what to measure in addition, or instead of a training run.

        Raises:
            DataError: there are no held-out documents, or no replies in held-out conversations.
        """
        tokenizer: Tokenizer | None = None
        chosen = sweep.chosen if sweep else None
        if chosen and chosen.vocab_size:
            tokenizer = BpeTokenizer.from_documents(parts.train, chosen.vocab_size)
        elif chosen:
            tokenizer = char_tokenizer(parts.docs)
        text = sweep.text if sweep else "lines"
        own = OwnFunction(function) if function else None
        data = LossObjective.of(
            parts, keeps_best=chosen is not None, tokenizer=tokenizer, text=text, own=own
        )
        masks = (data.tokenizer.mask(doc) for doc in data.validation)
        if not any(mask is None or any(mask) for mask in masks):
            raise DataError(
                "the held-out conversations have no replies; add conversations with replies"
            )
        return cls(data)

    def n_params(self, config: Genome) -> int:
        """Return the number of parameters."""
        return count_params(self._model(config))

    def flops(self, config: Genome) -> int:
        """Estimate the FLOPs of a training run that uses all documents equally often."""
        hyper = replace(config.train_config(seed=0), text=self.data.text)
        chunks = self.data.training.chunked(self.data.tokenizer, config.block_size, hyper)
        n_chunks = config.steps * config.batch_size
        n_tokens = round(n_chunks * chunks.n_tokens / max(1, len(chunks)))
        return training_flops(self._model(config), n_docs=n_chunks, n_tokens=n_tokens)

    def refusal(self, config: Genome) -> str | None:
        """Return None: any configuration can be trained."""

    def measure(
        self, config: Genome, seed: int, should_stop: ShouldStop | None = None
    ) -> Evaluation:
        """Train a model and return its evaluation; `seconds` covers training only.

        Args:
            should_stop: polled during training; if it returns true, the evaluation is invalid.
        """
        own, value = self.data.own, None
        if own and not own.needs_training:
            return own.evaluate(config, should_stop)
        _load_kernels(None, config.dtype)
        started, cpu_started = perf_counter(), thread_time()  # training uses only this thread
        try:
            trained = self.data.train(config, seed, should_stop, config.dtype)
        except (ConfigError, DataError) as error:  # not enough memory, or no replies
            return Evaluation("refused", reason=str(error))
        seconds, cpu_seconds = perf_counter() - started, thread_time() - cpu_started
        if isinstance(trained, Evaluation):
            return trained
        val_loss = self.data.held_out_loss(trained)
        if not math.isfinite(val_loss):  # the last step may have diverged
            return DIVERGED
        if own:
            value = own.evaluate(trained, should_stop)
            if value.status != "ok":
                return value
        samples: list[str] = []
        if not trained.tokenizer.is_chat:
            model = InferenceGpt(trained)
            samples = model.generate(N_SAMPLES, temperature=TEMPERATURE, seed=seed)
        return Evaluation(
            "ok",
            val_loss,
            trained.losses[-1],
            val_loss,
            tuple(samples),
            value=value.value if value else None,
            train_loss=fmean(trained.state.recent_losses),
            seconds=round(seconds, 6),
            cpu_seconds=round(cpu_seconds, 6),
        )

    def _model(self, config: Genome) -> ModelConfig:
        return config.model(self.data.tokenizer.vocab_size)
