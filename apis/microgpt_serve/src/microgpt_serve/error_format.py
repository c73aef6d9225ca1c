"""Turn pydantic's errors about a setting or a field of a request into one sentence."""

from collections.abc import Mapping
from typing import Any

from microgpt.printable import printable

MOST_SHOWN = 80  # characters of a value: it may be a book

_LIMITS = {
    "greater_than_equal": ("ge", ">="),
    "greater_than": ("gt", ">"),
    "less_than_equal": ("le", "<="),
    "less_than": ("lt", "<"),
}
_UNITS = {"too_long": "entries", "string_too_long": "characters"}
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of a usual size",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "list_type": "a list",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


def sentence(problem: Mapping[str, Any], *, name: str | None = None, show: bool = True) -> str:
    """Return what is wrong: `temperature must be >= 0, got -0.5`.

    Args:
        problem: one of `ValidationError.errors()`.
        name: of the value, if not its place.
        show: whether the value may be shown.
    """
    kind, context = problem["type"], problem.get("ctx", {})
    place = name or _place(problem["loc"])
    if kind == "json_invalid":
        return f"the body is not JSON: {context['error']}"
    if kind == "missing":
        return f"{place} is missing"
    if kind == "extra_forbidden":
        return f"unknown field '{printable(str(problem['loc'][-1]), MOST_SHOWN)}'"
    if kind in ("too_short", "string_too_short"):
        return f"{place} must not be empty"
    if kind == "unsupported":
        return f"{place} is not supported{_shown(problem['input']) if show else ''}; leave it out"
    if kind in _UNITS:
        return f"{place} must have {context['max_length']} {_UNITS[kind]} at the most"
    if kind in _LIMITS:
        limit, sign = _LIMITS[kind]
        rule = f"must be {sign} {_plain(context[limit])}"
    elif kind in _TYPES:
        rule = f"must be {_TYPES[kind]}"
    elif kind == "value_error":
        return f"{name} {context['error']}" if name else _of_parent(problem)
    else:
        rule = problem["msg"].replace("Input should be", "must be")
    return f"{place} {rule}{_shown(problem['input']) if show else ''}"


def field_of(problem: Mapping[str, Any]) -> str | None:
    """Return the place of a problem: `messages[1].role`; None if it is the body itself."""
    return _place(problem["loc"]) if problem["loc"] else None


def _of_parent(problem: Mapping[str, Any]) -> str:
    """Return `messages[1]: unknown role "bot"`; the error names the field itself."""
    return f"{_place(problem['loc'][:-1])}: {problem['ctx']['error']}"


def _plain(limit: float) -> str:
    return str(limit) if isinstance(limit, int) else f"{limit:g}"


def _place(loc: tuple[int | str, ...]) -> str:
    """Return `messages[1].role`."""
    place = ""
    for part in loc:
        place += f"[{part}]" if isinstance(part, int) else f".{printable(part, MOST_SHOWN)}"
    return place.lstrip(".") or "the body"


def _shown(value: object) -> str:
    if isinstance(value, str):
        value = value[:MOST_SHOWN]
    if isinstance(value, str | int | float | None):
        try:
            return f", got {value!r:.{MOST_SHOWN}}"
        except ValueError:  # a whole number of more digits than Python writes
            return ""
    return ""
