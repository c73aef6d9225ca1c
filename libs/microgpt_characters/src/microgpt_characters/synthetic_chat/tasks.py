"""Chat tasks. Each task is a function that draws one exchange.

Replies to arithmetic, comparisons and most questions about words repeat the numbers or the word.
The model therefore copies these first, and always calculates from the same notation.

Some number pairs, words, given names, colors and unanswerable messages are held out from training,
for any seed. Facts, such as products, capitals and opposites, and small talk must be memorised, so
only some of their wordings are held out.
"""

import re
import string
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import combinations_with_replacement

from microgpt import bundled, load_text
from microgpt_characters.synthetic_chat.draw import (
    PHRASES,
    SHORT,
    SHORT_OF_TWO,
    Draw,
    Exchange,
    Fillers,
    Wordings,
    is_held_out,
    patterns,
)

UNTOLD = "i don't know."
OUTSIDE = "i do sums to 99 and spelling."
LARGEST = 99  # largest number in a question
LARGEST_FACTOR = 12
SMALL = 20  # largest number of a small pair
SHARE_SMALL = 0.15  # fraction of pairs chosen to be small, because users ask about such numbers
NEGATIVE = 0.15  # fraction of subtractions that take the larger number from the smaller one
CLOSE = 0.25  # fraction of subtractions chosen to have a difference below 10
SHORTEST, LONGEST = 3, 7  # word lengths in letters
NO_COLOR = 0.4  # fraction of favorite colors that are other words, so that they must be copied
COMMON = 0.35  # fraction of words drawn from the list of common words, which is easy to memorise

_ALL_PAIRS = [*combinations_with_replacement(range(LARGEST + 1), 2)]  # smaller number first
_PAIRS, _CLOSE_PAIRS, _SMALL_PAIRS = (
    # All pairs of digits are seen, because a user expects 1 + 1 to be right.
    Fillers.divide(pairs, lambda pair: f"{pair[0]} {pair[1]}", keep=lambda pair: pair[1] <= 9)
    for pairs in (
        _ALL_PAIRS,
        [pair for pair in _ALL_PAIRS if pair[1] - pair[0] < 10],
        [pair for pair in _ALL_PAIRS if pair[1] <= SMALL],
    )
)
_WORDINGS = {name: Wordings.from_phrases(phrases) for name, phrases in PHRASES["wordings"].items()}
_SMALL_TALK = [(talk["reply"], Wordings.from_phrases(talk)) for talk in PHRASES["small_talk"]]
_COUNTING = re.compile(r"\b(have|had|has|are|old)\b")  # in questions about a number of things
_ABOUT_WORDS = ("spelling", "reversing", "length", "first_letter", "last_letter")
_TABLES, _SLOTS = PHRASES["tables"], PHRASES["slots"]
_OUTSIDE = {kind: patterns(text) for kind, text in PHRASES["outside"].items() if kind != "unseen"}
_OUTSIDE_KINDS = (*_OUTSIDE, "numbers", "capital", "opposite", *("arithmetic",) * 5)


@cache
def names() -> Fillers[str]:
    """Return the bundled given names of three to seven letters."""
    read = load_text(bundled("names.txt"))
    not_names = {*PHRASES["words"]["common"].split()} | _asking()
    return Fillers.divide(
        dict.fromkeys(n for n in read if SHORTEST <= len(n) <= LONGEST and n not in not_names)
    )


@cache
def words(kind: str) -> Fillers[str]:
    """Return the words of a kind, "common" or "colors"."""
    return Fillers.divide(word for word in PHRASES["words"][kind].split() if word not in _asking())


@cache
def _without_opposite() -> Fillers[str]:
    paired = {word for pair in _TABLES["opposites"] for word in pair}
    return Fillers.divide(word for word in PHRASES["words"]["common"].split() if word not in paired)


@cache
def _asking() -> frozenset[str]:
    """Return words that occur in questions about words, but are never the word in question.

    The model thus learns that "letter" in a question only names the task.
    """
    seen = (line for name in _ABOUT_WORDS for line in _WORDINGS[name].seen)
    return frozenset(re.findall("[a-z]+", " ".join(seen)))


def addition(draw: Draw) -> Exchange:
    """Ask for the sum of two numbers in random order."""
    a, b = _pair(draw)
    return _ask(draw, "addition", (a, b), f"{a} + {b} = {a + b}")


def subtraction(draw: Draw) -> Exchange:
    """Ask for a difference, which may be negative, or for the distance between two numbers.

    Random pairs rarely have a difference below 10, and the model learns these cases separately.
    Therefore, a fixed fraction of the pairs is drawn from these cases only.
    """
    b, a = draw.filler(_CLOSE_PAIRS) if draw.chance(CLOSE) else sorted(_pair(draw))
    wording, pair = "subtraction", (a, b)
    if draw.chance(NEGATIVE):
        a, b = pair = (b, a)
    elif draw.chance(0.1):
        wording, pair = "difference", draw.pick((pair, pair[::-1]))
    while True:
        exchange = _ask(draw, wording, pair, f"{a} - {b} = {a - b}", task="subtraction")
        if a >= b or not _COUNTING.search(exchange.prompt):  # nobody has -3 apples
            return exchange


def multiplication(draw: Draw) -> Exchange:
    """Ask for the product of two small numbers."""
    a, b = (draw.pick(range(LARGEST_FACTOR + 1)) for _ in range(2))
    return _ask(draw, "multiplication", (a, b), f"{a} x {b} = {a * b}")


def comparison(draw: Draw) -> Exchange:
    """Ask for the larger or the smaller of two different numbers."""
    a, b = _pair(draw)
    while a == b:
        a, b = _pair(draw)
    wording, name, answer = draw.pick((("larger", "max", max(a, b)), ("smaller", "min", min(a, b))))
    return _ask(draw, wording, (a, b), f"{name}({a}, {b}) = {answer}", task="comparison")


def letters(draw: Draw) -> Exchange:
    """Ask for the first or last letter of a word."""
    wording, i = draw.pick((("first_letter", 0), ("last_letter", -1)))
    return _ask_of_word(draw, wording, lambda word: f"{word}: {word[i]}", task="letters")


def opposites(draw: Draw) -> Exchange:
    """Ask for the opposite of a word."""
    one, other = draw.pick(_TABLES["opposites"])
    word, answer = draw.pick(((one, other), (other, one)))
    return _ask(draw, "opposite", (_quoted(draw, word),), answer, task="opposites")


def capitals(draw: Draw) -> Exchange:
    """Ask for the capital of a country."""
    country, capital = draw.pick(_TABLES["capitals"])
    return _ask(draw, "capital", (country,), capital, task="capitals")


def small_talk(draw: Draw) -> Exchange:
    """Draw a small-talk message and its reply."""
    reply, wordings = draw.pick(_SMALL_TALK)
    return Exchange(draw.ask(wordings), reply, "small talk")


def outside(draw: Draw) -> Exchange:
    """Draw a message that the assistant cannot answer."""
    if draw.split == "wordings":
        return Exchange(_fill(draw, draw.pick(PHRASES["outside"]["unseen"])), OUTSIDE, "outside")
    while True:
        prompt, is_fixed = _outside(draw)
        if (is_held_out(prompt) and not is_fixed) == (draw.split == "heldout"):
            return Exchange(draw.mistype(prompt), OUTSIDE, "outside")


def tell(draw: Draw, what: str | None = None) -> Exchange:
    """State a name or a color."""
    what = what or draw.pick(("name", "color"))
    draw.told[what] = filler = draw.filler(names()) if what == "name" else _color(draw)
    echo = "hi {}!" if what == "name" else "{} is nice."
    return Exchange(draw.ask(_WORDINGS[f"tell_{what}"], filler), echo.format(filler), None)


def memory(draw: Draw, what: str | None = None) -> Exchange:
    """Ask for a name or a color, which may not have been stated."""
    what = what or draw.pick(("name", "color"))
    answer = "you are {}." if what == "name" else "you like {}."
    reply = answer.format(draw.told[what]) if what in draw.told else UNTOLD
    return _ask(draw, f"ask_{what}", (), reply, task="memory")


def two_questions(draw: Draw, tasks: Sequence[Callable[[Draw], Exchange]]) -> Exchange:
    """Ask two questions in one message. Each answer becomes a sentence; equal answers share one."""
    parts: list[Exchange] = []
    draw.short = SHORT_OF_TWO
    while len(parts) < 2:
        part = draw.pick(tasks)(draw)
        is_greeting = part.prompt.endswith(".") and part.task is not None
        # Words alone could as well be random words before a question, which are ignored.
        is_vague = part.task == "outside" and re.fullmatch(r"\w+|[a-z]+( [a-z]+)?", part.prompt)
        if not (is_greeting or is_vague):
            parts.append(part)
    draw.short = SHORT
    prompt = draw.ask(_WORDINGS["two"], *(part.prompt.rstrip("?.") for part in parts))
    replies = dict.fromkeys(p.reply if p.reply[-1] in ".!" else f"{p.reply}." for p in parts)
    return Exchange(prompt, " ".join(replies), "two questions", tuple(parts))


def _ask(
    draw: Draw, wording: str, fillers: Sequence[object], answer: str, *, task: str | None = None
) -> Exchange:
    return Exchange(draw.ask(_WORDINGS[wording], *fillers), answer, task or wording)


def _ask_of_word(
    draw: Draw, wording: str, answer: Callable[[str], str], *, task: str | None = None
) -> Exchange:
    word = draw.filler(words("common") if draw.chance(COMMON) else names())
    return _ask(draw, wording, (_quoted(draw, word),), answer(word), task=task)


spelling = partial(_ask_of_word, wording="spelling", answer="-".join)
reversing = partial(_ask_of_word, wording="reversing", answer=lambda word: f"{word}: {word[::-1]}")
length = partial(_ask_of_word, wording="length", answer=lambda word: f"{word}: {len(word)}")


def _quoted(draw: Draw, word: str) -> str:
    """Sometimes put a word into quotes or similar marks; never in the split "wordings"."""
    if draw.split == "wordings" or draw.chance(0.75):
        return word
    return draw.pick(('"{}"', "'{}'", "the word {}", "the word '{}'", "word {}")).format(word)


def _ask_of_neighbour(draw: Draw, what: str) -> Exchange:
    """Ask for the day or the month after or before another."""
    circle = _TABLES[f"{what}s"]
    i = draw.pick(range(len(circle)))
    wording, step = draw.pick(((f"{what}_after", 1), (f"{what}_before", -1)))
    return _ask(draw, wording, (circle[i],), circle[(i + step) % len(circle)], task=f"{what}s")


days, months = (partial(_ask_of_neighbour, what=what) for what in ("day", "month"))


def _pair(draw: Draw) -> tuple[int, int]:
    smaller, larger = draw.filler(_SMALL_PAIRS if draw.chance(SHARE_SMALL) else _PAIRS)
    return draw.pick(((smaller, larger), (larger, smaller)))


def _color(draw: Draw) -> str:
    return draw.filler(words("common" if draw.chance(NO_COLOR) else "colors"))


def _outside(draw: Draw) -> tuple[str, bool]:
    """Return a message of any other kind, or a question of the tasks outside their range.

    Also return whether it is a fixed sentence, without fillers.
    """
    kind = draw.pick(_OUTSIDE_KINDS)
    if kind in _OUTSIDE:
        pattern = draw.expand([draw.pick(_OUTSIDE[kind])])
        return _fill(draw, pattern), "{" not in pattern
    if kind in ("capital", "opposite"):
        wording = draw.expand(_WORDINGS[kind].seen)
        slot = "country" if kind == "capital" else draw.pick(("plain", "topic"))
        return wording.format(_slot(draw, slot)), False
    kinds = ("addition", "subtraction", "multiplication", "multiplication", "larger", "smaller")
    wording = draw.pick(kinds)
    pair = [_slot(draw, draw.pick(("small", "big", "big"))), _slot(draw, "big")]
    if wording == "multiplication" and draw.chance(0.7):
        pair = [_slot(draw, "small"), _slot(draw, "over")]
    if draw.chance(0.5):
        pair.reverse()
    return draw.question(_WORDINGS[wording]).format(*pair), False


def _fill(draw: Draw, pattern: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda slot: _slot(draw, slot[1]), pattern)


def _slot(draw: Draw, kind: str) -> str:
    """Return a random text for a slot in a pattern."""
    if kind == "any":
        kind = draw.pick(("small", "small", "big"))
    if kind == "land":
        kind = draw.pick(("country", "known country"))
    letters = string.ascii_lowercase
    drawn: dict[str, Callable[[], str]] = {
        "word": lambda: draw.filler(words("common")),
        "plain": lambda: draw.filler(_without_opposite()),
        "name": lambda: draw.filler(names()),
        "color": lambda: draw.filler(words("colors")),
        "day": lambda: draw.pick(_TABLES["days"]),
        "month": lambda: draw.pick(_TABLES["months"]),
        "known country": lambda: draw.pick(_TABLES["capitals"])[0],
        "city": lambda: draw.pick(_TABLES["capitals"])[1],
        "letter": lambda: draw.pick(letters),
        "mash": lambda: "".join(draw.pick(letters) for _ in range(draw.pick(range(3, 9)))),
        "small": lambda: str(draw.pick(range(LARGEST + 1))),
        "over": lambda: str(draw.pick(range(LARGEST_FACTOR + 1, LARGEST + 1))),
        "big": lambda: str(draw.pick(range(LARGEST + 1, draw.pick((300, 1000, 10000, 1000000))))),
    }
    return drawn[kind]() if kind in drawn else draw.pick(_SLOTS[kind])
