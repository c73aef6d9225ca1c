"""What pydantic found wrong, told in one line. This module knows nothing of what was validated."""

from pydantic import ValidationError


def first_problem(error: ValidationError, *, root: str = "") -> str:
    """Return the first thing that pydantic found wrong, in one line: place, rule, what is there.

    Args:
        error: what pydantic raised.
        root: the name of the validated value itself, for places inside it.
    """
    problem = error.errors(include_url=False)[0]
    place = root if problem["loc"] else ""
    for part in problem["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    found = problem["input"]
    if problem["type"] != "json_invalid" and isinstance(found, str | int | float):
        message += f", got {found!r:.80}"
    return f"{place.lstrip('.')}: {message}" if place else message
