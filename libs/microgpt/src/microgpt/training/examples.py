"""Example messages that the page of a chat model offers."""

from collections.abc import Sequence
from itertools import islice

from microgpt.data.split import Split
from microgpt.data.tokenizer import Document
from microgpt.errors import ConfigError
from microgpt.training.options import TrainOptions

N_EXAMPLES, MAX_CHARACTERS = 4, 60  # number and maximum length of examples from the data
MAX_SET = 1000  # maximum length of an example that the user sets
N_SEARCHED = 100  # number of conversations in which to look for examples


def examples(parts: Split, options: TrainOptions) -> tuple[str, ...]:
    """Return the examples that are set, or else the first short messages that training reads.

    Raises:
        ConfigError: an example is too long, or has a character that UTF-8 cannot encode.
    """
    if options.example is None:
        short = (text for text in _first(parts.train[:N_SEARCHED]) if len(text) <= MAX_CHARACTERS)
        return (*islice(short, N_EXAMPLES),)
    for text in options.example:
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise ConfigError(f"the example {text!r:.80} is not UTF-8 text")
        if len(text) > MAX_SET:
            problem = f"has {len(text):,} characters; use at most {MAX_SET:,}"
            raise ConfigError(f"the example {text[:20]!r} … {problem}")
    return (*dict.fromkeys(text for text in options.example if text.strip()),)


def _first(docs: Sequence[Document]) -> dict[str, None]:
    """Return the first messages of conversations that a user begins, in order."""
    first = (doc[0] for doc in docs if doc and not isinstance(doc, str))
    return dict.fromkeys(one.content for one in first if one.role == "user")
