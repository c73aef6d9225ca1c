"""What is wrong with what was read, in one line."""

from pydantic import ValidationError
from pydantic_core import from_json

from microgpt.printable import printable


def newer_version(content: bytes | str, field: str, known: int) -> str | None:
    """Return what to say of JSON that a later microgpt wrote, whatever else is in it.

    Args:
        content: the JSON; of what is none, other checks tell.
        field: where the version stands.
        known: the latest that can be read.
    """
    try:
        facts = from_json(content)
    except ValueError:
        return None
    version = facts.get(field) if isinstance(facts, dict) else None
    if isinstance(version, int) and version > known:
        return f"{field} is {version!r:.20}, this microgpt reads up to {known}; update it"
    return None


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
    return f"{printable(place.lstrip('.'))}: {message}" if place else message
