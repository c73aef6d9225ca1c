"""What an objective is, the evaluation of one trial, and functions of the user as objectives."""

import inspect
import math
import traceback
from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Protocol

from microgpt import ConfigError, DataError, DivergedError
from microgpt_evolution.genome import Genome
from microgpt_evolution.trial import Evaluation, ShouldStop, Trial

DIVERGED = Evaluation("diverged", reason="the loss was not a finite number")
OwnFunction = Callable[..., float]  # returns the number to minimise
GENOME = "genome"  # a function with this parameter gets the genome, and no model is trained
POLL_S = 0.1  # interval in seconds between questions whether a call should be abandoned


class Objective(Protocol):
    """What trains a model and measures it; picklable."""

    def flops(self, trial: Trial) -> float:
        """Return the number of operations of a training run."""

    def n_params(self, genome: Genome) -> int:
        """Return the number of parameters."""

    def measure(self, trial: Trial, should_stop: ShouldStop = lambda: False) -> Evaluation:
        """Train a model and return its evaluation, or raise an error; see `measure`.

        What it returns is not used if `should_stop` has returned true.
        """


def measure(
    objective: Objective, trial: Trial, should_stop: ShouldStop = lambda: False
) -> Evaluation:
    """Return the evaluation of a trial with its duration; an error gives one with a reason."""
    started = perf_counter()
    try:
        found = objective.measure(trial, should_stop)
    except DivergedError:
        found = DIVERGED
    except (ConfigError, DataError) as error:  # such as too little memory
        found = Evaluation("refused", reason=str(error))
    except BaseException as error:  # Ctrl-C interrupts only the main thread
        found = Evaluation("crashed", reason=describe_error(error))
    return replace(found, seconds=perf_counter() - started)


def describe_error(error: BaseException) -> str:
    """Return the type and the message of an error on one line."""
    kind = type(error).__name__
    try:
        message = " ".join(str(error).split()).encode(errors="replace").decode()
    except BaseException:  # an exception of the user may raise others
        return kind
    return f"{kind}: {message}" if message else kind


def needs_training(function: OwnFunction) -> bool:
    """Return whether a function gets a trained model, an `InferenceGpt`."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some built-in functions have no signature
        return True
    return next(iter(parameters), "") != GENOME


def evaluate(
    function: OwnFunction, argument: object, should_stop: ShouldStop = lambda: False
) -> Evaluation:
    """Return the number that a function returns, or the reason why there is none.

    The function is called in a thread of its own, so that whatever it raises ends here, and a call
    that should stop is abandoned. Nothing survives a function that ends the process.
    """
    found, name = list[Evaluation](), getattr(function, "__name__", "the function")
    thread = Thread(target=lambda: found.append(_call(function, name, argument)), daemon=True)
    thread.start()
    while not found:
        if should_stop():
            return Evaluation("crashed", reason=f"{name} was stopped")
        thread.join(POLL_S)
    return found[0]


def _call(function: OwnFunction, name: str, argument: object) -> Evaluation:
    try:
        value: object = function(argument)
        if not isinstance(value, Real) or isinstance(value, bool):
            raise ConfigError(f"{name} must return a number, got {value!r:.80}")
        number = float(value)
    except BaseException as error:
        reason = str(error) if isinstance(error, ConfigError) else _problem(name, error)
        return Evaluation("crashed", reason=reason.encode(errors="replace").decode())
    if not math.isfinite(number):
        return Evaluation("diverged", reason=f"{name} returned {number:g}")
    return Evaluation("ok", number, value=number)


def _problem(name: str, error: BaseException) -> str:
    """Return what a function has raised, and where, on one line."""
    *_, last = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(last.filename).name}, line {last.lineno})"
    if last.filename == __file__:  # the call itself has failed, or the conversion to a number
        where = f"; it is called as {name}(…), and returns a number"
    return f"{name} raised {describe_error(error):.200}{where}"
