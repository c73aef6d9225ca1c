"""What can only be known by heart: days, months, opposites and capitals.

Nothing of it is held out, for nobody could guess it; unseen wordings ask for it.

The days and months are those of the calendar, the opposites our own choice. The capitals are those
of the CIA World Factbook (public domain), as in factbook/factbook.json on GitHub at 8662a8b.
"""

from collections.abc import Sequence

from microgpt.synthetic_chat.exchange import Draw, Exchange, Wordings

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
OPPOSITES = (
    ("hot", "cold"), ("big", "small"), ("good", "bad"), ("up", "down"), ("left", "right"),
    ("day", "night"), ("old", "new"), ("long", "short"), ("fast", "slow"),
    ("hard", "soft"), ("high", "low"), ("open", "closed"), ("wet", "dry"), ("rich", "poor"),
    ("happy", "sad"), ("full", "empty"), ("early", "late"), ("in", "out"), ("strong", "weak"),
    ("clean", "dirty"), ("light", "dark"), ("loud", "quiet"), ("near", "far"), ("win", "lose"),
)  # fmt: skip
CAPITALS = {
    "france": "paris", "germany": "berlin", "italy": "rome", "spain": "madrid",
    "portugal": "lisbon", "austria": "vienna", "poland": "warsaw", "greece": "athens",
    "sweden": "stockholm", "norway": "oslo", "finland": "helsinki", "denmark": "copenhagen",
    "ireland": "dublin", "hungary": "budapest", "russia": "moscow", "turkey": "ankara",
    "egypt": "cairo", "kenya": "nairobi", "china": "beijing", "japan": "tokyo",
    "cuba": "havana", "canada": "ottawa", "peru": "lima", "chile": "santiago",
}  # fmt: skip

_DAY_AFTER = Wordings(
    seen=("what day comes after {}?", "which day is after {}?", "what comes after {}?"),
    unseen=("what day follows {}?", "the day after {}?"),
)
_DAY_BEFORE = Wordings(
    seen=("what day comes before {}?", "which day is before {}?", "what comes before {}?"),
    unseen=("what day is it before {}?", "the day before {}?"),
)
_MONTH_AFTER = Wordings(
    seen=("what month comes after {}?", "which month is after {}?", "what comes after {}?"),
    unseen=("what month follows {}?", "the month after {}?"),
)
_MONTH_BEFORE = Wordings(
    seen=("what month comes before {}?", "which month is before {}?", "what comes before {}?"),
    unseen=("what month is it before {}?", "the month before {}?"),
)
_OPPOSITE = Wordings(
    seen=("what is the opposite of {}?", "opposite of {}?", "the opposite of {}?"),
    unseen=("tell me the opposite of {}", "which word is the opposite of {}?"),
)
_CAPITAL = Wordings(
    seen=(
        "what is the capital of {}?", "capital of {}?", "which city is the capital of {}?",
        "what is {}'s capital?",
    ),
    unseen=("tell me the capital of {}", "name the capital of {}"),
)  # fmt: skip


def days(draw: Draw) -> Exchange:
    """Ask for the day after or before another."""
    return _neighbour(draw, DAYS, _DAY_AFTER, _DAY_BEFORE, "days")


def months(draw: Draw) -> Exchange:
    """Ask for the month after or before another."""
    return _neighbour(draw, MONTHS, _MONTH_AFTER, _MONTH_BEFORE, "months")


def opposites(draw: Draw) -> Exchange:
    """Ask for the opposite of a word, which may be either of its pair."""
    one, other = draw.pick(OPPOSITES)
    word, answer = draw.pick(((one, other), (other, one)))
    return Exchange(draw.ask(_OPPOSITE, word), answer, "opposites")


def capitals(draw: Draw) -> Exchange:
    """Ask for the capital of a country."""
    country = draw.pick(tuple(CAPITALS))
    return Exchange(draw.ask(_CAPITAL, country), CAPITALS[country], "capitals")


def _neighbour(
    draw: Draw, circle: Sequence[str], after: Wordings, before: Wordings, task: str
) -> Exchange:
    i = draw.pick(range(len(circle)))
    wordings, step = draw.pick(((after, 1), (before, -1)))
    return Exchange(draw.ask(wordings, circle[i]), circle[(i + step) % len(circle)], task)
