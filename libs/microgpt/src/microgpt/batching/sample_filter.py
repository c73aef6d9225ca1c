"""Leave out samples that are repeated or known."""

from collections.abc import Container, Iterable, Iterator

GIVE_UP_AFTER = 1000  # samples in a row without a new one


def select(texts: Iterable[str], *, unique: bool, known: Container[str]) -> Iterator[str]:
    """Yield the texts that are not known and, if unique, not repeated.

    It ends when too many in a row are left out.
    """
    seen: set[str] = set()
    n_left_out = 0
    for text in texts:
        if text in known or (unique and text in seen):
            n_left_out += 1
            if n_left_out == GIVE_UP_AFTER:
                return
            continue
        n_left_out = 0
        if unique:
            seen.add(text)
        yield text
