"""What an exercise should compute, and the first number in which a learner's result differs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

TOLERANCE = 1e-6  # relative; finite differences and other orders of summation differ by less
A_FINITE_DIFFERENCE = "a finite difference gives"
STEP = 1e-5  # of a finite difference


class Wrong(BaseException):
    """A mistake in a learner's code; a BaseException, which the code does not catch by mistake."""


@dataclass(frozen=True)
class Fact:
    """A result of a learner's code, and what it should be."""

    what: str  # the expression, as the learner would write it
    got: object
    expected: object
    why: str = ""  # a question that leads to the usual mistake
    mistakes: Mapping[float, str] = field(default_factory=dict)  # questions for certain numbers
    source: str = "it should be"

    def problem(self) -> str:
        """Return a sentence on the first number that differs, or an empty text if none does."""
        found = _difference(self.got, self.expected)
        if not found:
            return ""
        place, got, expected = found
        text = f"{self.what}{place} is {got}; {self.source} {expected}"
        number, why = _number(self.got), self.why
        for wrong, question in self.mistakes.items():
            if isinstance(number, float) and _is_near(number, wrong):
                why = question
        if self.got is None:
            why = "Is `return` missing?"
        return f"{text}. {why}" if why else text


def slope(function: Callable[[float], object], x: float) -> float:
    """Return the derivative of a function of one number at x, by a central difference."""
    after, before = (float(function(x + h)) for h in (STEP, -STEP))  # type: ignore[arg-type]
    return (after - before) / (2 * STEP)


def _number(given: object) -> object:
    """Return the number in a Value of the learner or of the library; other objects unchanged."""
    given = getattr(given, "data", given)
    return float(given) if isinstance(given, int | float) else given


def _is_near(a: float, b: float) -> bool:
    return abs(a - b) <= TOLERANCE * max(1.0, abs(b))  # false for NaN


def _difference(got: object, expected: object, place: str = "") -> tuple[str, str, str] | None:
    """Return where two results first differ, and what they are there."""
    if isinstance(expected, str):
        return None if got == expected else (place, repr(got), repr(expected))
    if isinstance(expected, Sequence):
        n = len(expected)
        if not isinstance(got, Sequence) or isinstance(got, str):
            return place, _shown(got), f"a list of {n}"
        if len(got) != n:
            return place, f"a list of {len(got)}", f"a list of {n}"
        parts = (_difference(got[i], expected[i], f"{place}[{i}]") for i in range(n))
        return next(filter(None, parts), None)
    number, right = _number(got), _number(expected)
    if isinstance(number, float) and isinstance(right, float) and _is_near(number, right):
        return None
    return place, _shown(got), _shown(expected)


def _shown(given: object) -> str:
    number = _number(given)
    if isinstance(number, float) and not isinstance(given, int):
        return f"{number:.6g}" if number % 1 or abs(number) > 1e6 else f"{number:.1f}"
    if isinstance(given, type(None) | int | str | Sequence):
        return repr(given)[:60]
    return f"an object of type {type(given).__name__}"
