"""Example messages that the page of a chat model offers."""

from itertools import islice

from microgpt.data.split import Split
from microgpt.training.options import TrainOptions

N_EXAMPLES, MAX_CHARACTERS = 4, 60  # number and maximum length of examples
N_SEARCHED = 100  # number of conversations in which to look for examples


def examples(parts: Split, options: TrainOptions) -> tuple[str, ...]:
    """Return the first short messages that training reads, unless the options forbid examples."""
    if not options.examples:
        return ()
    first = (doc[0] for doc in parts.train[:N_SEARCHED] if doc and not isinstance(doc, str))
    texts = dict.fromkeys(one.content for one in first if one.role == "user")
    return (*islice((text for text in texts if len(text) <= MAX_CHARACTERS), N_EXAMPLES),)
