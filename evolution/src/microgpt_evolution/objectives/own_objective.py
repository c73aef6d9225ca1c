"""Objectives of the user: Python functions of a genome or of a trained model."""

import inspect
import math
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

from microgpt import ConfigError, number_from
from microgpt_evolution.trial import Evaluation, ShouldStop

OwnFunction = Callable[..., float]  # returns the number to minimise

GENOME = "genome"  # a function with this parameter gets the genome, and no model is trained
CALL_MINUTES = 5.0  # time limit of a call, unless the study has one for each trial
POLL_S = 0.1


def needs_training(function: OwnFunction) -> bool:
    """Return whether a function gets a trained model, an `InferenceGpt`."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # of some built-in functions
        return True
    return next(iter(parameters), "") != GENOME


def evaluate(
    function: OwnFunction,
    argument: object,
    minutes: float = CALL_MINUTES,
    should_stop: ShouldStop | None = None,
) -> Evaluation:
    """Return the number that a function returns, or the reason why there is none.

    The function is called in a thread of its own, so that whatever it raises ends here, and a call
    that takes too long is abandoned. Nothing survives a function that ends the process.
    """
    name = getattr(function, "__name__", "the function")
    answers = SimpleQueue[float | str]()
    end = monotonic() + 60 * minutes
    Thread(target=_call, args=(function, argument, answers), daemon=True).start()
    while True:
        try:
            answer = answers.get(timeout=POLL_S)
        except Empty:
            if should_stop and should_stop():
                return Evaluation("crashed", reason=f"{name} was stopped")
            if monotonic() > end:
                reason = f"{name} took longer than {minutes:g} minutes"
                return Evaluation("crashed", reason=reason)
            continue
        if isinstance(answer, str):
            return Evaluation("crashed", reason=answer)
        if not math.isfinite(answer):
            return Evaluation("diverged", reason=f"{name} returned {answer:g}")
        return Evaluation("ok", answer, value=answer)


def _call(function: OwnFunction, argument: object, answers: SimpleQueue[float | str]) -> None:
    """Put the number that a function returns, or the reason why there is none."""
    try:
        answers.put(number_from(function, argument))
    except ConfigError as error:
        answers.put(str(error).encode(errors="replace").decode())  # a record is valid UTF-8
    except BaseException as error:  # such as KeyboardInterrupt, or an error whose text raises one
        name = getattr(function, "__name__", "the function")
        answers.put(f"{name} raised {type(error).__name__}")
