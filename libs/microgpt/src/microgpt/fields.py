"""A setting: a field of a dataclass with its default, help and limits, checked on creation."""

import math
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from numbers import Integral, Real
from typing import Any, Literal, get_args, get_origin

from microgpt.errors import ConfigError

MAX_SIZE = 2**31 - 1  # upper limit for all sizes and counts

Given = Mapping[str, Any]  # settings by name; those that are not in it are chosen
Limits = tuple[str, Callable[[float], bool]]  # how an error message says it, and the test
POSITIVE: Limits = ("a number greater than 0", lambda x: x > 0)
NOT_NEGATIVE: Limits = (">= 0", lambda x: x >= 0)
SHARE: Limits = ("from 0 to 1", lambda x: 0 <= x <= 1)
LESS_THAN_1: Limits = ("in [0, 1)", lambda x: 0 <= x < 1)


def setting(default: object, help: str, *flags: str, **facts: Any) -> Any:
    """Return the field of a setting.

    Args:
        flags: how the option of the command line is called, if not as the field.
        facts: "panel", the section of the help (a setting without one cannot be typed); "short",
            whether `--help` lists it, or only `--help-all`; "metavar"; "minimum" (default: 1) and
            "maximum" of a whole number; "limits" of another number.
    """
    return field(default=default, metadata={"help": help, "flags": flags, **facts})


def check_fields(settings: Any) -> None:
    """Check all fields of a dataclass; a NumPy number becomes an int or a float.

    Raises:
        ConfigError: a value has another type, or is outside its limits.
    """
    for each in fields(settings):
        value = checked(each.name, getattr(settings, each.name), each.type, each.metadata)
        object.__setattr__(settings, each.name, value)


def checked(name: str, value: Any, kind: Any, facts: Any) -> Any:
    """Return the value of a setting of this type, or raise ConfigError; see `setting`."""
    kinds = get_args(kind) if type(None) in get_args(kind) else (kind,)
    if value is None and type(None) in kinds:
        return None
    kind = kinds[0]
    if kind is int:
        minimum, maximum = facts.get("minimum", 1), facts.get("maximum", MAX_SIZE)
        return check_whole(name, value, minimum=minimum, maximum=maximum)
    if kind is float:
        return check_number(name, value, *facts["limits"])
    if kind is bool and not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, got {value!r:.24}")
    if get_origin(kind) is Literal:
        check_choice(name, value, kind)
    elif kind is str and not isinstance(value, str):
        raise ConfigError(f"{name} must be a text, got {value!r:.24}")
    return value


def check_whole(name: str, value: int, *, minimum: int, maximum: int = MAX_SIZE) -> int:
    """Return a setting as an int; raise ConfigError unless it is from minimum to maximum."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise ConfigError(f"{name} must be an integer, got {value!r:.24}")
    if value < minimum:
        raise ConfigError(f"{name} must be >= {minimum}, got {max(value, -(10**20))}")
    if value > maximum:
        raise ConfigError(f"{name} must be at most {maximum}")
    return int(value)  # a NumPy integer becomes an int


def check_number(name: str, value: Any, rule: str, fits: Callable[[float], bool]) -> float:
    """Return a setting, as an int or a float; raise ConfigError if it is out of range."""
    try:
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        is_valid = is_number and math.isfinite(value) and fits(value)
    except OverflowError:  # an integer such as 10**400, from a file
        is_valid = False
    if not is_valid:
        raise ConfigError(f"{name} must be {rule}, got {value!r:.24}")
    return value if isinstance(value, int) else float(value)


def check_choice(name: str, value: str | None, choices: Any) -> None:
    """Raise ConfigError unless a setting is one of the values of a Literal type."""
    *others, last = (f'"{choice}"' for choice in get_args(choices))
    if f'"{value}"' not in (*others, last):
        raise ConfigError(f'unknown {name} "{value}" (expected {", ".join(others)} or {last})')
