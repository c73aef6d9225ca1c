"""Train a genome of a sweep and measure its losses."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import fmean
from time import perf_counter, thread_time
from typing import Any, Self

from microgpt import (
    BpeTokenizer,
    ConfigError,
    DataError,
    InferenceGpt,
    Split,
    char_tokenizer,
    prepare_engine,
)
from microgpt_evolution.objectives.loss_objective import DIVERGED, TEMPERATURE, LossObjective
from microgpt_evolution.objectives.own_objective import OwnFunction
from microgpt_evolution.organism import Evaluation, ShouldStop, Trial
from microgpt_evolution.sweep.sweep_records import SweepSettings

_load_kernels = cache(prepare_engine)  # a worker on another machine starts without kernels
N_SAMPLES = 3  # number of samples per model, as in the tables of evolve-rust


@dataclass(frozen=True)
class SweepObjective(LossObjective):
    """Trains a genome of a sweep on documents and measures its losses."""

    @classmethod
    def of_sweep(
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
        options: dict[str, Any] = {"own": OwnFunction(function) if function else None}
        if sweep and (chosen := sweep.chosen):
            options |= {"keeps_best": True, "text": sweep.text}
            options["tokenizer"] = (
                BpeTokenizer.from_documents(parts.train, chosen.vocab_size)
                if chosen.vocab_size
                else char_tokenizer(parts.docs)
            )
        found = cls.of(parts, **options)
        masks = (found.tokenizer.mask(doc) for doc in found.validation)
        if not any(mask is None or any(mask) for mask in masks):
            raise DataError(
                "the held-out conversations have no replies; add conversations with replies"
            )
        return found

    def refusal(self, trial: Trial) -> str | None:
        """Return None: any genome can be trained."""

    def measure(self, trial: Trial, should_stop: ShouldStop | None = None) -> Evaluation:
        """Train a model and return its evaluation; `seconds` covers training only.

        Args:
            should_stop: polled during training; if it returns true, the evaluation is invalid.
        """
        own, value = self.own, None
        if own and not own.needs_training:
            return own.evaluate(trial.genome, should_stop)
        _load_kernels(None, *filter(None, [trial.genome.dtype]))
        started, cpu_started = perf_counter(), thread_time()  # training uses only this thread
        try:
            trained = self.train(trial, should_stop)
        except (ConfigError, DataError) as error:  # not enough memory, or no replies
            return Evaluation("refused", reason=str(error))
        seconds, cpu_seconds = perf_counter() - started, thread_time() - cpu_started
        if isinstance(trained, Evaluation):
            return trained
        val_loss = self.held_out_loss(trained)
        if not math.isfinite(val_loss):  # the last step may have diverged
            return DIVERGED
        if own:
            value = own.evaluate(trained, should_stop)
            if value.status != "ok":
                return value
        samples: list[str] = []
        if not trained.tokenizer.is_chat:
            model = InferenceGpt(trained)
            samples = model.generate(N_SAMPLES, temperature=TEMPERATURE, seed=trial.seed)
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
