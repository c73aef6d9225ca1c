"""Groups of documents that share an n-gram of characters with a text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from microgpt.data.tokenizer import Document, texts_of

START, END = "\ufdd0", "\ufdd1"  # marks of a text or message; Unicode reserves them for such use
SHORTEST = 3  # characters of an n-gram, including marks
MOST = 0.1  # maximum share of the documents that a group has
SIMILAR = 0.9  # Jaccard index from which two groups count as one
VERBS = {(True, True): "is", (True, False): "begins with", (False, True): "ends with"}


@dataclass(frozen=True)
class Group:
    """Documents with an n-gram, which may begin with START and end with END."""

    ngram: str
    ids: frozenset[int]  # indices of the documents

    @property
    def name(self) -> str:
        """A description of the common part, such as "begins with emm"."""
        text = self.ngram.strip(START + END)
        verb = VERBS.get((self.ngram[0] == START, self.ngram[-1] == END), "contains")
        return f"{verb} {text!r}" if " " in text else f"{verb} {text}"

    @property
    def pattern(self) -> str:
        """The regular expression that is found in these documents; see `Split.leave_out`."""
        return re.escape(self.ngram).replace(START, "^").replace(END, r"\Z")


def shared_ngrams(text: Document, docs: Sequence[Document], n_groups: int = 8) -> list[Group]:
    """Return groups of documents that share an n-gram with a text.

    Groups are sorted by the number of documents, times the number of shared characters after the
    first two, in descending order. A group with more than MOST of the documents, or nearly the same
    documents as an earlier one, is left out.

    Example:
        >>> docs = ["emma", "emmy", "gemma", *map(str, range(1000, 1040))]
        >>> [group.name for group in shared_ngrams("emma", docs)]
        ['ends with emma', 'is emma', 'begins with emm', 'contains emm']
    """
    marked = ["".join(f"{START}{each}{END}" for each in texts_of(doc)) for doc in docs]
    found: list[Group] = []
    for each in texts_of(text):
        own = f"{START}{each}{END}"
        for first in range(len(own) - SHORTEST + 1):
            ids, longest = [*range(len(docs))], dict[int, Group]()  # by number of documents
            for end in range(first + SHORTEST, len(own) + 1):
                ids = [i for i in ids if own[first:end] in marked[i]]
                if not ids:
                    break
                if len(ids) <= MOST * len(docs):
                    longest[len(ids)] = Group(own[first:end], frozenset(ids))
            found += longest.values()
    found.sort(key=lambda one: (-len(one.ids) * (len(one.ngram) - 2), -len(one.ngram)))
    groups: list[Group] = []
    for group in found:
        if len(groups) < n_groups and not any(_are_similar(group, other) for other in groups):
            groups.append(group)
    return groups


def _are_similar(one: Group, other: Group) -> bool:
    return len(one.ids & other.ids) >= SIMILAR * len(one.ids | other.ids)
