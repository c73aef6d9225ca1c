"""Filter out samples that are duplicates or already known."""

from collections.abc import Container, Iterable, Iterator

GIVE_UP_AFTER = 1000  # maximum number of consecutive rejected samples


def select(texts: Iterable[str], *, unique: bool, known: Container[str]) -> Iterator[str]:
    """Yield the texts that are not in `known`; with `unique`, also skip duplicates.

    Stop after GIVE_UP_AFTER consecutive texts were skipped.
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
