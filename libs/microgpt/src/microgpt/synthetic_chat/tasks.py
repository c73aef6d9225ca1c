"""Chat tasks. Each task is a function that draws one exchange.

Some number pairs, words, given names, colors and unanswerable questions are held out from training,
whatever the seed. Small talk and facts, such as capitals and opposites, must be memorised, so only
some of their wordings are held out.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations_with_replacement, product

from microgpt.data.documents import bundled, load_text
from microgpt.synthetic_chat.draw import PHRASES, Draw, Exchange, Fillers, Wordings

UNKNOWN = "i don't know."
LARGEST = 99  # largest number in a question
CLOSE = 0.25  # fraction of subtractions chosen to have a difference below 10
SHORTEST, LONGEST = 3, 7  # word lengths in letters
COMMON = 0.25  # fraction of words drawn from the short list of common words; the rest are names
UNTOLD = 0.2  # fraction of memory questions whose answer the user has not stated

_ALL_PAIRS = [*combinations_with_replacement(range(LARGEST + 1), 2)]  # smaller number first
_PAIRS, _CLOSE_PAIRS = (
    Fillers.of(pairs, lambda pair: f"{pair[0]} {pair[1]}")
    for pairs in (_ALL_PAIRS, [pair for pair in _ALL_PAIRS if pair[1] - pair[0] < 10])
)
_WORDINGS = {name: Wordings(**phrases) for name, phrases in PHRASES["wordings"].items()}
_SMALL_TALK = [
    (talk["reply"], Wordings(talk["seen"], talk["unseen"])) for talk in PHRASES["small_talk"]
]
_UNKNOWN: list[tuple[Wordings, Sequence[str], Fillers[str]]] = [
    (
        _WORDINGS[name],
        topics,
        Fillers.of(
            wording.format(topic) for wording, topic in product(_WORDINGS[name].seen, topics)
        ),
    )
    for name, topics in PHRASES["unknown"].items()
]


@cache
def names() -> Fillers[str]:
    """Return the bundled given names of three to seven letters."""
    fitting = dict.fromkeys(
        name
        for name in load_text(bundled("names.txt"))
        if SHORTEST <= len(name) <= LONGEST and name not in PHRASES["words"]["not_names"]
    )
    return Fillers.of(fitting)


@cache
def words(kind: str) -> Fillers[str]:
    """Return the words of a kind, "common" or "colors"."""
    return Fillers.of(PHRASES["words"][kind].split())


def addition(draw: Draw) -> Exchange:
    """Ask for the sum of two numbers in random order."""
    a, b = _pair(draw)
    return _ask(draw, "addition", (a, b), a + b)


def subtraction(draw: Draw) -> Exchange:
    """Ask for a non-negative difference.

    Random pairs rarely differ by less than 10, a case that the model learns separately. Therefore,
    a fixed fraction of the questions uses only such pairs.
    """
    smaller, larger = draw.filler(_CLOSE_PAIRS if draw.chance(CLOSE) else _PAIRS)
    return _ask(draw, "subtraction", (larger, smaller), larger - smaller)


def comparison(draw: Draw) -> Exchange:
    """Ask for the larger or the smaller of two different numbers."""
    a, b = _pair(draw)
    while a == b:
        a, b = _pair(draw)
    wording, answer = draw.pick((("larger", max(a, b)), ("smaller", min(a, b))))
    return _ask(draw, wording, (a, b), answer, task="comparison")


def spelling(draw: Draw) -> Exchange:
    """Ask how a word is spelled."""
    return _ask_of_word(draw, "spelling", "-".join)


def reversing(draw: Draw) -> Exchange:
    """Ask for a word spelled backwards."""
    return _ask_of_word(draw, "reversing", lambda word: word[::-1])


def length(draw: Draw) -> Exchange:
    """Ask for the number of letters in a word."""
    return _ask_of_word(draw, "length", len)


def letters(draw: Draw) -> Exchange:
    """Ask for the first or last letter of a word."""
    word = _word(draw)
    wording, answer = draw.pick((("first_letter", word[0]), ("last_letter", word[-1])))
    return _ask(draw, wording, (word,), answer, task="letters")


def days(draw: Draw) -> Exchange:
    """Ask for the day after or before a given day."""
    return _ask_of_neighbour(draw, "day")


def months(draw: Draw) -> Exchange:
    """Ask for the month after or before a given month."""
    return _ask_of_neighbour(draw, "month")


def opposites(draw: Draw) -> Exchange:
    """Ask for the opposite of a word."""
    one, other = draw.pick(PHRASES["tables"]["opposites"])
    word, answer = draw.pick(((one, other), (other, one)))
    return _ask(draw, "opposite", (word,), answer, task="opposites")


def capitals(draw: Draw) -> Exchange:
    """Ask for the capital of a country."""
    country, capital = draw.pick(PHRASES["tables"]["capitals"])
    return _ask(draw, "capital", (country,), capital, task="capitals")


def small_talk(draw: Draw) -> Exchange:
    """Draw a small-talk message and its reply."""
    reply, wordings = draw.pick(_SMALL_TALK)
    return Exchange(draw.ask(wordings), reply, "small talk")


def outside(draw: Draw) -> Exchange:
    """Ask a question that the assistant cannot answer."""
    wordings, topics, prompts = draw.pick(_UNKNOWN)
    if draw.split == "wordings":
        return Exchange(draw.ask(wordings, draw.pick(topics)), UNKNOWN, "outside")
    return Exchange(draw.vary_question_mark(draw.filler(prompts)), UNKNOWN, "outside")


def tell_and_ask(draw: Draw) -> tuple[Exchange, Exchange]:
    """State the user's name or favorite color, then ask for it or for the fact not stated."""
    told, other = ("name", "color") if draw.chance(0.5) else ("color", "name")
    filler = draw.filler(names() if told == "name" else words("colors"))
    echo, answer = ("hi {}!", "you are {}.") if told == "name" else ("{} is nice.", "you like {}.")
    telling = Exchange(draw.ask(_WORDINGS[f"tell_{told}"], filler), echo.format(filler), None)
    if draw.chance(UNTOLD):
        return telling, _ask(draw, f"ask_{other}", (), UNKNOWN, task="memory")
    return telling, _ask(draw, f"ask_{told}", (), answer.format(filler), task="memory")


def ask_untold(draw: Draw) -> Exchange:
    """Ask for a name or a color that the user has not stated."""
    return _ask(draw, draw.pick(("ask_name", "ask_color")), (), UNKNOWN, task="memory")


def _ask(
    draw: Draw, wording: str, fillers: Sequence[object], answer: object, *, task: str | None = None
) -> Exchange:
    return Exchange(draw.ask(_WORDINGS[wording], *fillers), str(answer), task or wording)


def _ask_of_word(draw: Draw, task: str, answer: Callable[[str], object]) -> Exchange:
    word = _word(draw)
    return _ask(draw, task, (word,), answer(word))


def _ask_of_neighbour(draw: Draw, what: str) -> Exchange:
    circle = PHRASES["tables"][f"{what}s"]
    i = draw.pick(range(len(circle)))
    wording, step = draw.pick(((f"{what}_after", 1), (f"{what}_before", -1)))
    return _ask(draw, wording, (circle[i],), circle[(i + step) % len(circle)], task=f"{what}s")


def _pair(draw: Draw) -> tuple[int, int]:
    smaller, larger = draw.filler(_PAIRS)
    return draw.pick(((smaller, larger), (larger, smaller)))


def _word(draw: Draw) -> str:
    return draw.filler(words("common") if draw.chance(COMMON) else names())
