"""Cut a text at stop strings: what the service must do while the text grows."""

from collections.abc import Sequence


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """Return the text before the stop string that ends first, or all text if there is none."""
    for end in range(len(text) + 1):
        if found := [len(each) for each in stop if text[:end].endswith(each)]:
            return text[: end - max(found)]
    return text
