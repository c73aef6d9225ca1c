"""User-defined functions, recorded as an importable name with a hash of their module's code.

    my_schedules:half#1f0d3b6c2a9e4d57

A model or a run may come from an untrusted source, so a recorded name is never imported. To resume
a run, pass the function again; its hash shows whether it is the same.
"""

import importlib
import inspect
import math
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from microgpt.edited_sources import code_hash
from microgpt.errors import ConfigError

Function = Callable[..., Any]
_passed: dict[str, Function] = {}  # in this process, by recorded name


def recorded_name(function: Function) -> str:
    """Return the name under which a function is recorded, and remember the function.

    Raises:
        ConfigError: the function is not defined at the top level of a file.
    """
    module = inspect.getmodule(function)
    name = getattr(function, "__qualname__", "")
    path = getattr(module, "__file__", None)
    is_found = name.isidentifier() and getattr(module, name, None) is function
    if not (module and path and Path(path).suffix == ".py" and is_found):
        raise ConfigError(
            f"{getattr(function, '__name__', function)!s:.80} must be a function defined with def "
            "at the top level of a Python file, so that it can be found again by its name"
        )
    where = Path(path).stem if module.__name__ == "__main__" else module.__name__
    full = f"{where}:{name}#{code_hash(Path(path).read_text(encoding='utf-8'))}"
    _passed[full] = function
    return full


def import_function(text: str) -> Function:
    """Return the function "module:function"; the working directory is also searched.

    Raises:
        ConfigError: there is no such function, or its module cannot be imported.
    """
    module, _, name = text.partition(":")
    if not name or module.endswith(".py"):
        raise ConfigError(
            f"{text!r:.80} must be module:function, such as my_functions:half for my_functions.py"
        )
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"cannot import {text:.80}: {problem:.200}") from error
    if not callable(function):
        raise ConfigError(f"{text:.80} is not a function")
    return function  # type: ignore[no-any-return]


def passed_function(recorded: str, option: str = "") -> Function:
    """Return the function with a recorded name; raise ConfigError if it has not been passed.

    Args:
        option: command-line option that passes the function, if there is one.
    """
    if recorded in _passed:
        return _passed[recorded]
    name, _, _ = recorded.partition("#")
    if any(each.partition("#")[0] == name for each in _passed):
        raise ConfigError(f"the file of {name} has changed since the run began; restore it")
    how = f"with {option} {name} (in Python, as an argument)" if option else "in Python"
    raise ConfigError(f"the run uses the function {name}; pass it again {how}")


def number_from(function: Function, *arguments: Any, **options: Any) -> float:
    """Call a user-defined function and return its number.

    Raises:
        ConfigError: it raises an exception or does not return a number (NaN counts as a number).
    """
    name = getattr(function, "__name__", "the function")
    try:
        value = function(*arguments, **options)
    except (Exception, SystemExit) as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        *_, last = traceback.extract_tb(error.__traceback__)
        where = f" ({Path(last.filename).name}, line {last.lineno})"
        if last.filename == __file__:  # the call itself has failed
            names = [*["…"] * len(arguments), *(f"{option}=…" for option in options)]
            where = f"; it is called as {name}({', '.join(names)})"
        raise ConfigError(f"{name} raised {problem:.200}{where}") from error
    try:
        return float(value + 0)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} must return a number, got {value!r:.80}") from error


def own_learning_rate(recorded: str, step: int, **settings: float) -> float:
    """Return the learning rate of a step, counted from 0, from a user-defined schedule.

    Args:
        recorded: name of the schedule.
        settings: the other arguments of `schedule.learning_rate`.

    Raises:
        ConfigError: the rate is not a finite number >= 0, or the schedule has not been passed.
    """
    rate = number_from(passed_function(recorded, "--schedule"), step, **settings)
    if not 0 <= rate < math.inf:
        raise ConfigError(
            "a learning rate must be a finite number of at least 0, but "
            f"{recorded.partition('#')[0]} returned {rate:g} for step {step}"
        )
    return rate
