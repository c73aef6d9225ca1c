"""Format JSON and pydantic errors on one line."""

from pydantic import ValidationError
from pydantic_core import from_json

from microgpt.printable import printable


def newer_version(content: bytes | str, field: str, known: int) -> str | None:
    """Return an error message if the version in a JSON field is newer than the known version."""
    try:
        facts = from_json(content)
    except ValueError:
        return None
    version = facts.get(field) if isinstance(facts, dict) else None
    if isinstance(version, int) and version > known:
        return (
            f"{field} is {version!r:.20}, but this microgpt reads at most {known}; update microgpt"
        )
    return None


def first_problem(error: ValidationError, *, root: str = "") -> str:
    """Return the first error on one line: path (starting with `root`), message and value."""
    problem = error.errors(include_url=False)[0]
    place = root if problem["loc"] else ""
    for part in problem["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    found = problem["input"]
    if problem["type"] != "json_invalid" and isinstance(found, str | int | float):
        message += f", got {found!r:.80}"
    return f"{printable(place.lstrip('.'))}: {message}" if place else message
