"""Something that the user tells of himself, and the question for it, later.

A name or a colour; what was not told is not known.
"""

from dataclasses import dataclass
from functools import cache

from microgpt.synthetic_chat.exchange import Draw, Exchange, Fillers, Wordings
from microgpt.synthetic_chat.outside import UNKNOWN
from microgpt.synthetic_chat.words import names

UNTOLD = 0.2  # the share of the questions for what was not told

# Of a handy length, as names are.
_COLOURS = """
    almond amber apricot aqua auburn azure beige black blue bronze brown canary caramel carmine
    cherry claret cobalt copper coral cream crimson cyan denim ebony emerald fawn flax fuchsia
    garnet ginger gold gray green hazel heather honey indigo iris ivory jade jet khaki lemon
    lilac lime linen magenta maroon mauve mint mustard navy nutmeg ochre olive onyx opal orange
    orchid oyster peach pearl pewter pine pink plum purple raven red rose ruby russet rust sable
    saffron salmon sand scarlet sepia sienna silver slate snow steel tan taupe tawny teal topaz
    umber vanilla violet walnut wheat white wine yellow
"""


@dataclass(frozen=True)
class _Subject:
    """How something is told, acknowledged, asked for and repeated."""

    telling: Wordings
    echo: str
    question: Wordings
    answer: str


_NAME = _Subject(
    telling=Wordings(
        seen=("my name is {}", "i am {}", "call me {}", "hi, i am {}", "hello, my name is {}",
              "my name is {}.", "i am {}."),
        unseen=("you can call me {}", "people call me {}", "it is me, {}"),
    ),
    echo="hi {}!",
    question=Wordings(
        seen=("what is my name?", "who am i?", "do you know my name?", "what am i called?",
              "say my name", "do you remember my name?"),
        unseen=("tell me my name", "what was my name?"),
    ),
    answer="you are {}.",
)  # fmt: skip
_COLOUR = _Subject(
    telling=Wordings(
        seen=("my favorite color is {}", "i like {}", "i love {}", "my color is {}",
              "the color i like is {}", "i like the color {}"),
        unseen=("{} is my favorite color", "the best color is {}", "i love the color {}"),
    ),
    echo="{} is nice.",
    question=Wordings(
        seen=("what is my favorite color?", "what color do i like?", "what is my color?",
              "which color do i like?", "do you know my color?", "do you remember my color?"),
        unseen=("tell me my color", "what was my color?"),
    ),
    answer="you like {}.",
)  # fmt: skip


@cache
def colours() -> Fillers[str]:
    """Return the colours."""
    return Fillers.of(_COLOURS.split())


def tell_and_ask(draw: Draw) -> tuple[Exchange, Exchange]:
    """Tell a name or a colour, and ask for it, or for the other one."""
    is_name = draw.chance(0.5)
    told, other = (_NAME, _COLOUR) if is_name else (_COLOUR, _NAME)
    filler = draw.filler(names() if is_name else colours())
    telling = Exchange(draw.ask(told.telling, filler), told.echo.format(filler), None)
    if draw.chance(UNTOLD):
        return telling, Exchange(draw.ask(other.question), UNKNOWN, "memory")
    return telling, Exchange(draw.ask(told.question), told.answer.format(filler), "memory")


def ask_untold(draw: Draw) -> Exchange:
    """Ask for a name or a colour that was never told."""
    subject = draw.pick((_NAME, _COLOUR))
    return Exchange(draw.ask(subject.question), UNKNOWN, "memory")
