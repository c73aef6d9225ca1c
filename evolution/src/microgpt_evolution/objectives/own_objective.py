"""A user-defined objective: a function of a genome or of a trained model."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

from microgpt import ConfigError, InferenceGpt, TrainResult, number_from
from microgpt_evolution.organism import Evaluation, ShouldStop

GENOME = "genome"  # a function with this parameter gets the genome, and no model is trained
MAX_SECONDS = 300.0  # time limit of a call
POLL_S = 0.1


@dataclass(frozen=True)
class OwnFunction:
    """A function whose return value is minimised."""

    function: Callable[..., float]
    max_seconds: float = MAX_SECONDS

    @property
    def needs_training(self) -> bool:
        """Whether the function receives a trained model, an `InferenceGpt`."""
        return next(iter(inspect.signature(self.function).parameters), "") != GENOME

    def evaluate(self, of: object, should_stop: ShouldStop | None) -> Evaluation:
        """Return the number for a genome, for the settings of a sweep, or for a training result.

        If there is no number, the evaluation contains the reason. A call that takes too long is
        abandoned.
        """
        argument = InferenceGpt(of) if isinstance(of, TrainResult) else of
        results = SimpleQueue[float | Exception]()
        started, name = monotonic(), getattr(self.function, "__name__", "the function")
        Thread(target=self._call, args=(argument, results), daemon=True).start()
        while True:
            try:
                found = results.get(timeout=POLL_S)
                break
            except Empty:
                if should_stop and should_stop():
                    return Evaluation("crashed", reason="stopped")
                if monotonic() - started > self.max_seconds:
                    reason = f"{name} has not returned after {self.max_seconds:g} s"
                    return Evaluation("crashed", reason=reason)
        if isinstance(found, Exception):
            return Evaluation("crashed", reason=str(found))
        if not math.isfinite(found):
            return Evaluation("diverged", reason=f"{name} returned {found:g}")
        return Evaluation("ok", found, value=found)

    def _call(self, argument: object, results: "SimpleQueue[Any]") -> None:
        try:
            results.put(number_from(self.function, argument))
        except ConfigError as error:
            results.put(error)
        except BaseException as error:  # KeyboardInterrupt, or an exception whose text raises
            name = getattr(self.function, "__name__", "the function")
            results.put(ConfigError(f"{name} raised {type(error).__name__}"))
