"""Format numbers, untrusted text and JSON errors for messages."""

DIGITS = 4  # significant digits of the number of operations that is printed for --budget
MAX_CHARS = 200  # maximum number of characters that `printable` keeps


def count(n: int, noun: str) -> str:
    """Format a count with a regular noun, such as "1 step" or "1,000 steps"."""
    return f"{n:,} {noun if n == 1 else f'{noun}s'}"


def duration(seconds: float) -> str:
    """Format a duration in at most two units, such as "0.25 s" or "2 min 05 s"."""
    if 0 < seconds < 0.001:
        return "less than 0.001 s"
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def percentage(share: float) -> str:
    """Format a fraction as "12.3%"; a positive fraction that would round to 0 is "<0.1%"."""
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def in_short(number: float, digits: int = DIGITS) -> str:
    """Format a large number compactly, such as 8.7e12; command-line options accept this form."""
    return f"{number:.{digits}g}".replace("e+0", "e").replace("e+", "e")


def printable(text: str, max_chars: int = MAX_CHARS) -> str:
    r"""Return up to max_chars characters of a text, escaped and on one line.

    Line breaks, control characters, lone surrogates and other unprintable characters are replaced
    by escapes such as \x1b. An ellipsis marks the end of a truncated text.
    """
    cut = text[:max_chars]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut)
    return cut if len(text) <= max_chars else f"{cut}…"


def other_version(content: bytes | str, field: str, *versions: int) -> str | None:
    """Return an error message if a JSON object has a version other than `versions`, else None."""
    from pydantic_core import from_json

    try:
        facts = from_json(content)
    except ValueError:
        return None
    version = facts.get(field) if isinstance(facts, dict) else None
    if version in (None, *versions):
        return None
    return (
        f"{field} is {printable(repr(version))}, but this microgpt reads only "
        f"{' and '.join(map(str, versions))}; use the version of microgpt that wrote it"
    )


def first_problem(error: Exception) -> str:
    """Return the first validation error on one line, or the message of any other exception."""
    from pydantic import ValidationError  # imported lazily, for a fast start

    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors(include_url=False)[0]
    place = "".join(f"[{x}]" if isinstance(x, int) else f".{x}" for x in problem["loc"])
    message = problem["msg"][0].lower() + problem["msg"][1:]
    found = problem["input"]
    if problem["type"] != "json_invalid" and isinstance(found, str | int | float):
        message += f", got {found!r:.80}"
    return f"{printable(place.lstrip('.'))}: {message}" if place else message
