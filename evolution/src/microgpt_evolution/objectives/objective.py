"""The interface of an objective, and the evaluation of one trial."""

from dataclasses import replace
from time import perf_counter
from typing import Protocol

from microgpt import ConfigError, DataError, DivergedError
from microgpt_evolution.genome import Genome
from microgpt_evolution.trial import Evaluation, ShouldStop, Trial

DIVERGED = Evaluation("diverged", reason="the loss was not a finite number")


class Objective(Protocol):
    """An object that trains and measures the models of trials; it must be picklable."""

    def flops(self, trial: Trial) -> float:
        """Return the number of floating-point operations of a trial's training run."""

    def n_params(self, genome: Genome) -> int:
        """Return the number of parameters of a genome's model."""

    def measure(self, trial: Trial, should_stop: ShouldStop = lambda: False) -> Evaluation:
        """Train a trial's model and return its evaluation; raise an error if training fails.

        Training can stop when `should_stop` returns true; the evaluation is then not used.
        """


def measure(
    objective: Objective, trial: Trial, should_stop: ShouldStop = lambda: False
) -> Evaluation:
    """Evaluate and time a trial; convert an error to an evaluation with a status and a reason."""
    started = perf_counter()
    try:
        found = objective.measure(trial, should_stop)
    except DivergedError:
        found = DIVERGED
    except (ConfigError, DataError) as error:  # for example, there is too little memory
        found = Evaluation("refused", reason=str(error))
    except BaseException as error:  # never Ctrl-C, which interrupts only the main thread
        found = Evaluation("crashed", reason=describe_error(error))
    return replace(found, seconds=perf_counter() - started)


def describe_error(error: BaseException) -> str:
    """Return the type and the message of an error on one line."""
    message = " ".join(str(error).split()).encode(errors="replace").decode()
    return f"{type(error).__name__}: {message}".removesuffix(": ")
