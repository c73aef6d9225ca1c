"""Objectives of the user: Python functions of a genome or of a trained model."""

import inspect
import math
from collections.abc import Callable
from threading import Thread

from microgpt import ConfigError, number_from
from microgpt_evolution.trial import Evaluation, ShouldStop

OwnFunction = Callable[..., float]  # returns the number to minimise

GENOME = "genome"  # a function with this parameter gets the genome, and no model is trained
POLL_S = 0.1  # interval in seconds between questions whether a call should be abandoned


def needs_training(function: OwnFunction) -> bool:
    """Return whether a function gets a trained model, an `InferenceGpt`."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of some built-in functions
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
        answer = number_from(function, argument)
    except ConfigError as error:
        reason = str(error).encode(errors="replace").decode()  # a record is valid UTF-8
        return Evaluation("crashed", reason=reason)
    except BaseException as error:  # such as KeyboardInterrupt, or an error whose text raises one
        reason = f"{_name(function)} raised {type(error).__name__}"
        return Evaluation("crashed", reason=reason)
    if not math.isfinite(answer):
        return Evaluation("diverged", reason=f"{_name(function)} returned {answer:g}")
    return Evaluation("ok", answer, value=answer)


def _name(function: OwnFunction) -> str:
    return getattr(function, "__name__", "the function")
