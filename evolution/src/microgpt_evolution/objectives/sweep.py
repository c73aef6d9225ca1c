"""Where a point of a sweep is trained and measured.

A track can be sent to another process, and gives the same there.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from time import perf_counter, thread_time
from typing import Any

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.dataset import Split
from microgpt.errors import ConfigError, DataError
from microgpt.flat_weights import RESULT_BYTES_PER_WEIGHT
from microgpt.inference import InferenceGpt
from microgpt.model import count_params
from microgpt.state import TrainResult
from microgpt.train import DivergedError, train
from microgpt.training.engines import bytes_needed
from microgpt_evolution.flops import training_flops
from microgpt_evolution.objectives.aesthetic import TEMPERATURE
from microgpt_evolution.objectives.loss import LossObjective
from microgpt_evolution.population import Status
from microgpt_evolution.sweep.config import SweepConfig
from microgpt_evolution.sweep.result import SweepResult

N_SAMPLES = 3  # as many as the source's tables show
NO_NUMBER = "its loss was no longer a finite number"


@dataclass(frozen=True)
class SweepObjective:
    """What points are trained and measured on.

    Attributes:
        arena: the documents and their tokenizer.
    """

    arena: LossObjective

    @classmethod
    def of(cls, parts: Split) -> "SweepObjective":
        """Return the track of a sweep.

        Raises:
            DataError: nothing is held out to measure on.
        """
        arena = LossObjective.of(parts, "held-out")
        masks = (arena.tokenizer.mask(doc, TrainConfig.loss_on) for doc in arena.validation)
        if not any(mask is None or any(mask) for mask in masks):
            raise DataError("no reply is held out to measure on; add conversations that have some")
        return cls(arena)

    def n_bytes(self, point: SweepConfig) -> int:
        """Return the memory of a training."""
        model, config = self._model(point), point.train_config(seed=0)
        longest = min(max(self.arena.lengths) - 1, point.block_size)
        returned = RESULT_BYTES_PER_WEIGHT * count_params(model)
        return bytes_needed("compiled", point.dtype, model, config, longest=longest) + returned

    def flops(self, point: SweepConfig) -> int:
        """Return the operations of a training, as if all documents came as often."""
        config = point.train_config(seed=0)
        reading = self.arena.training.reading(self.arena.tokenizer, point.block_size, config)
        n_pieces = point.steps * point.batch_size
        n_tokens = round(n_pieces * reading.n_tokens / max(1, len(reading)))
        return training_flops(self._model(point), n_docs=n_pieces, n_tokens=n_tokens)

    def failed(self, point: SweepConfig, seed: int, status: Status, reason: str) -> SweepResult:
        """Return the result of a training without numbers."""
        return self._result(point, seed, status=status, reason=reason)

    def measure(
        self, point: SweepConfig, seed: int, should_stop: Callable[[], bool] | None = None
    ) -> SweepResult:
        """Train a model and return what it came to.

        Args:
            point: the settings.
            seed: of the training.
            should_stop: is asked all the time; once it says so, what is returned means nothing.
        """
        started, cpu_started = perf_counter(), thread_time()  # a training has one thread
        try:
            trained = train(
                self.arena.training,
                model=point.model(vocab_size=0),
                config=point.train_config(seed),
                tokenizer=self.arena.tokenizer,
                dtype=point.dtype,
                should_stop=should_stop,
            )
        except DivergedError:
            return self.failed(point, seed, "diverged", NO_NUMBER)
        except (ConfigError, DataError) as error:  # less memory than planned, or no reply is read
            return self.failed(point, seed, "refused", str(error))
        seconds, cpu_seconds = perf_counter() - started, thread_time() - cpu_started
        if trained.ending == "stopped":
            return self.failed(point, seed, "crashed", "it was stopped")
        val_loss = self.arena.held_out_loss(trained)
        if not math.isfinite(val_loss):  # the last step may have gone too far
            return self.failed(point, seed, "diverged", NO_NUMBER)
        return self._result(
            point,
            seed,
            status="ok",
            val_loss=val_loss,
            last_loss=trained.losses[-1],
            train_loss=fmean(trained.state.recent_losses),
            samples=_samples(trained, seed),
            seconds=round(seconds, 6),
            cpu_seconds=round(cpu_seconds, 6),
        )

    def _model(self, point: SweepConfig) -> ModelConfig:
        return point.model(self.arena.tokenizer.vocab_size)

    def _result(self, point: SweepConfig, seed: int, **outcome: Any) -> SweepResult:
        return SweepResult(
            point=point,
            seed=seed,
            n_params=count_params(self._model(point)),
            flops=self.flops(point),
            **outcome,
        )


def _samples(trained: TrainResult, seed: int) -> Sequence[str]:
    if trained.tokenizer.is_chat:
        return ()
    return tuple(InferenceGpt(trained).generate(N_SAMPLES, temperature=TEMPERATURE, seed=seed))
