"""Messages that the page of a chat model offers to begin with."""

from collections.abc import Sequence
from itertools import islice

from microgpt.data.tokenizer import Document
from microgpt.training.options import TrainOptions

N_EXAMPLES, MAX_CHARACTERS = 4, 60
N_SEARCHED = 100  # conversations


def examples(docs: Sequence[Document], options: TrainOptions) -> tuple[str, ...]:
    """Return the examples that are set, or else the first short messages of some conversations.

    By default, an exported chat of people has none, because its messages may be private.
    """
    if options.example is not None:
        return tuple(text for text in options.example if text.strip())
    if options.me:
        return ()
    first = [doc[0] for doc in islice(docs, N_SEARCHED) if not isinstance(doc, str)]
    short = [
        one.content for one in first if one.role == "user" and len(one.content) <= MAX_CHARACTERS
    ]
    return (*dict.fromkeys(short),)[:N_EXAMPLES]
