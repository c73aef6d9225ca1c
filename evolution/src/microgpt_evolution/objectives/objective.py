"""The interface of an objective, and the evaluation of one trial."""

from dataclasses import replace
from time import perf_counter
from typing import Protocol

from microgpt import ConfigError, DataError, DivergedError
from microgpt_evolution.genome import Genome
from microgpt_evolution.trial import Evaluation, ShouldStop, Trial

DIVERGED = Evaluation("diverged", reason="the loss was not a finite number")


class Objective(Protocol):
    """Trains models and measures them; must be picklable."""

    def flops(self, trial: Trial) -> float:
        """Return the number of operations of a training run."""

    def n_params(self, genome: Genome) -> int:
        """Return the number of parameters."""

    def measure(self, trial: Trial, should_stop: ShouldStop = lambda: False) -> Evaluation:
        """Train a model and return its evaluation, or raise an error; see the function `measure`.

        The evaluation is not used if `should_stop` has returned true.
        """


def measure(
    objective: Objective, trial: Trial, should_stop: ShouldStop = lambda: False
) -> Evaluation:
    """Evaluate a trial and time it; an error becomes an evaluation with a reason."""
    started = perf_counter()
    try:
        found = objective.measure(trial, should_stop)
    except DivergedError:
        found = DIVERGED
    except (ConfigError, DataError) as error:  # for example, too little memory
        found = Evaluation("refused", reason=str(error))
    except BaseException as error:  # Ctrl-C interrupts only the main thread
        found = Evaluation("crashed", reason=describe_error(error))
    return replace(found, seconds=perf_counter() - started)


def describe_error(error: BaseException) -> str:
    """Return the type and the message of an error on one line."""
    message = " ".join(str(error).split()).encode(errors="replace").decode()
    return f"{type(error).__name__}: {message}".removesuffix(": ")
