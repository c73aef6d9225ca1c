"""What can be asked about the letters of a word: its spelling, the way back, how many, the ends.

The words are common ones and given names. A word is held out from all tasks, and as a name too.
"""

from functools import cache

from microgpt.data.dataset import bundled, load_text
from microgpt.synthetic_chat.exchange import Draw, Exchange, Fillers, Wordings

SHORTEST, LONGEST = 3, 7  # letters of a word
COMMON = 0.25  # the share of common words: there are few, and they shall not be learnt by heart

_COMMON = """
    air apple arm army baby back bag ball bank barn basket bath beach bean bear bed bee bell belt
    bench berry bird boat body bone book boot bottle bowl box boy branch bread brick bridge
    broom brush bucket bus butter button cake camel camera camp candle candy car card carpet carrot
    castle cat cave chain chair cheese cherry chick child church circle clock cloud coat coffee
    coin corn corner cotton cow crab cream crown cup curtain desk dinner dish doctor dog doll
    donkey door dragon drawer dream dress drum duck ear earth egg elbow engine eye face family farm
    farmer father feather fence field finger fire fish flag flame floor flower fly food foot forest
    fork fox friend frog fruit garden gate ghost gift girl glass glove goat goose grape grass guitar
    hair hammer hand harbor hat heart hill honey hook horse house ice iron island jacket jar jelly
    juice jungle kettle key king kitchen kite kitten knee knife ladder lake lamb lamp leaf leg lemon
    letter lion lip lock machine map market milk mirror monkey morning mother mouse mouth mud
    needle nest nose nut oak ocean office onion orange oven owl page paint pan panda paper
    park parrot path pear pen pencil pepper picture pie pig pillow pilot plane plant plate pocket
    pond potato prince puppy queen rabbit rain rice ring river road robin rocket roof room rope
    sail salt sand school sea seed sheep shelf ship shirt shoe shop sister sky snail snake snow
    soap sock soup spider spoon spring square star station stone storm story street sugar summer
    table tail teacher tent thunder ticket tiger tomato tooth towel tower town toy train tree truck
    turtle uncle valley vase village violin voice wagon wall water wave wheel whistle wind window
    wing winter wolf woman wood wool worm yard zebra
"""
# Given names that are words of the grammar, too: held out as names, they would still be seen.
_TAKEN = frozenset({"dublin", "july", "lima", "madrid", "paris"})

_SPELLING = Wordings(
    seen=(
        "how do you spell {}?", "spell {}", "can you spell {}?", "please spell {}",
        "how is {} spelled?", "how do i spell {}?", "how to spell {}?", "spell the word {}",
    ),
    unseen=("what is the spelling of {}?", "spell {} for me", "how would you spell {}?"),
)  # fmt: skip
_REVERSING = Wordings(
    seen=(
        "reverse {}", "what is {} backwards?", "can you reverse {}?", "say {} backwards",
        "please reverse {}", "how is {} written backwards?", "reverse the word {}", "{} backwards?",
    ),
    unseen=("what is {} in reverse?", "write {} backwards", "turn {} around"),
)  # fmt: skip
_LENGTH = Wordings(
    seen=(
        "how long is {}?", "how many letters has {}?", "how many letters are in {}?",
        "count the letters of {}", "how long is the word {}?", "how many letters does {} have?",
    ),
    unseen=("what is the length of {}?", "number of letters in {}?", "count the letters in {}"),
)  # fmt: skip
_FIRST = Wordings(
    seen=(
        "what is the first letter of {}?", "first letter of {}?", "how does {} begin?",
        "which letter does {} start with?", "what does {} start with?",
    ),
    unseen=("with which letter does {} begin?", "give me the first letter of {}"),
)  # fmt: skip
_LAST = Wordings(
    seen=(
        "what is the last letter of {}?", "last letter of {}?", "how does {} end?",
        "which letter does {} end with?", "what does {} end with?",
    ),
    unseen=("what letter is at the end of {}?", "give me the last letter of {}"),
)  # fmt: skip


@cache
def names() -> Fillers[str]:
    """Return the given names that come with microgpt, those of a handy length."""
    fitting = dict.fromkeys(
        name
        for name in load_text(bundled("names.txt"))
        if SHORTEST <= len(name) <= LONGEST and name not in _TAKEN
    )
    return Fillers.of(fitting)


@cache
def common_words() -> Fillers[str]:
    """Return the common words."""
    return Fillers.of(_COMMON.split())


def spelling(draw: Draw) -> Exchange:
    """Ask how a word is spelled."""
    word = _word(draw)
    return Exchange(draw.ask(_SPELLING, word), "-".join(word), "spelling")


def reversing(draw: Draw) -> Exchange:
    """Ask for a word from its end to its beginning."""
    word = _word(draw)
    return Exchange(draw.ask(_REVERSING, word), word[::-1], "reversing")


def length(draw: Draw) -> Exchange:
    """Ask for the number of letters."""
    word = _word(draw)
    return Exchange(draw.ask(_LENGTH, word), str(len(word)), "length")


def letters(draw: Draw) -> Exchange:
    """Ask for the first or the last letter."""
    word = _word(draw)
    wordings, answer = draw.pick(((_FIRST, word[0]), (_LAST, word[-1])))
    return Exchange(draw.ask(wordings, word), answer, "letters")


def _word(draw: Draw) -> str:
    return draw.filler(common_words() if draw.chance(COMMON) else names())
