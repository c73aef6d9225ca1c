"""What an objective is, the evaluation of one trial, and functions of the user as objectives."""

import inspect
import math
import traceback
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
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
    objective: Objective,
    trial: Trial,
    minutes: float | None = None,
    should_stop: ShouldStop = lambda: False,
) -> Evaluation:
    """Return the evaluation of a trial with its duration; an error gives one with a reason."""
    started = perf_counter()

    def is_late() -> bool:
        return minutes is not None and perf_counter() > started + 60 * minutes

    try:
        found = objective.measure(trial, lambda: is_late() or should_stop())
    except DivergedError:
        found = DIVERGED
    except (ConfigError, DataError) as error:  # such as too little memory
        found = Evaluation("refused", reason=str(error))
    except BaseException as error:  # Ctrl-C interrupts only the main thread
        found = Evaluation("crashed", reason=describe_error(error))
    if is_late():
        found = Evaluation("crashed", reason=f"it took longer than {minutes:g} minutes")
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
    found: list[Evaluation] = []
    thread = Thread(target=lambda: found.append(_call(function, argument)), daemon=True)
    thread.start()
    while not found:
        if should_stop():
            return Evaluation("crashed", reason=f"{_name(function)} was stopped")
        thread.join(POLL_S)
    return found[0]


def _call(function: OwnFunction, argument: object) -> Evaluation:
    try:
        answer = _number_from(function, argument)
    except ConfigError as error:
        reason = str(error).encode(errors="replace").decode()  # a record is valid UTF-8
        return Evaluation("crashed", reason=reason)
    except BaseException as error:  # such as KeyboardInterrupt, or an error whose text raises one
        reason = f"{_name(function)} raised {type(error).__name__}"
        return Evaluation("crashed", reason=reason)
    if not math.isfinite(answer):
        return Evaluation("diverged", reason=f"{_name(function)} returned {answer:g}")
    return Evaluation("ok", answer, value=answer)


def _number_from(function: OwnFunction, argument: object) -> float:
    """Return the number that a function returns, also NaN; raise ConfigError if it has none."""
    name = _name(function)
    try:
        value: object = function(argument)
    except (Exception, SystemExit) as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        *_, last = traceback.extract_tb(error.__traceback__)
        where = f" ({Path(last.filename).name}, line {last.lineno})"
        if last.filename == __file__:  # the call itself has failed
            where = f"; it is called as {name}(…)"
        raise ConfigError(f"{name} raised {problem:.200}{where}") from error
    try:
        if isinstance(value, Real | Decimal) and not isinstance(value, bool):
            return float(value)
    except OverflowError:  # such as 10**400
        return math.inf
    except ValueError:  # Decimal("sNaN")
        pass
    raise ConfigError(f"{name} must return a number, got {value!r:.80}")


def _name(function: OwnFunction) -> str:
    return getattr(function, "__name__", "the function")
