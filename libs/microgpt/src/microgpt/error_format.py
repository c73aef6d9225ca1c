"""Format JSON and pydantic errors on one line."""

from pydantic import ValidationError
from pydantic_core import from_json

from microgpt.printable_text import printable


def other_version(content: bytes | str, field: str, *known: int) -> str | None:
    """Return an error message if a JSON field has a version other than the known ones."""
    try:
        facts = from_json(content)
    except ValueError:
        return None
    version = facts.get(field) if isinstance(facts, dict) else None
    if version in (None, *known):
        return None
    return (
        f"{field} is {printable(repr(version))}, but this microgpt reads only "
        f"{' and '.join(map(str, known))}; use the version of microgpt that wrote it"
    )


def first_problem(error: Exception) -> str:
    """Return the first error on one line: path, message and value.

    If the error is not of pydantic, return its message.
    """
    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors(include_url=False)[0]
    place = ""
    for part in problem["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    found = problem["input"]
    if problem["type"] != "json_invalid" and isinstance(found, str | int | float):
        message += f", got {found!r:.80}"
    return f"{printable(place.lstrip('.'))}: {message}" if place else message
