"""Example messages that the page of a chat model offers."""

from collections.abc import Sequence
from itertools import islice

from microgpt.data.split import Split
from microgpt.data.tokenizer import Document
from microgpt.training.options import TrainOptions

N_EXAMPLES, MAX_CHARACTERS = 4, 60  # number and maximum length of examples from the data
N_SEARCHED = 100  # number of conversations in which to look for examples


def examples(parts: Split, options: TrainOptions) -> tuple[str, ...]:
    """Return the first short messages that training reads, unless the options forbid examples."""
    if not options.examples:
        return ()
    short = (text for text in _first(parts.train[:N_SEARCHED]) if len(text) <= MAX_CHARACTERS)
    return (*islice(short, N_EXAMPLES),)


def _first(docs: Sequence[Document]) -> dict[str, None]:
    """Return the first messages of conversations that a user begins, in order."""
    first = (doc[0] for doc in docs if doc and not isinstance(doc, str))
    return dict.fromkeys(one.content for one in first if one.role == "user")
