"""`microgpt info --data`: statistics of a data file, and a forecast of the training results."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from statistics import median_low
from typing import Any

from microgpt import (
    ConversationsError,
    Document,
    ReadOptions,
    TextFile,
    count,
    count_characters,
    load_documents,
    percentage,
    prepare_replies,
    printable,
    texts_of,
)
from microgpt_cli.baselines import expect, expectation_lines
from microgpt_cli.terminal.console import note, print_facts

N_CHARACTERS = 160  # maximum number of characters listed as the alphabet
KNOWN = "generated replies: those of the file; `train --chat` prints how many are exact"


def describe_file(data: Path, how: ReadOptions, minutes: float) -> dict[str, Any]:
    """Return a data file's statistics and expected losses, as listed in docs/reference/data.md."""
    file, n_characters = TextFile(data), None
    docs = read_any(file, how)
    is_known = prepare_replies(docs, {}, lambda _: None, file).extra  # a character or a table
    expectation = {"words": KNOWN} if is_known else expect(docs, minutes)
    if isinstance(docs, str):
        note("tokens, lengths and repeats refer to the lines of this running text")
        n_characters = len(docs)
        docs = [line.strip() for line in docs.split("\n") if line.strip()]
    return {
        "file": str(data),
        "kind": file.kind,
        "otherwise": file.otherwise,
        "n_characters": n_characters,
        **_describe(docs),
        "expectation": expectation,
    }


def read_any(file: TextFile, how: ReadOptions) -> Sequence[Document] | str:
    """Return the documents as `train` reads them; recognize conversations even without --chat."""
    has_option = how.column is not None or how.separator is not None
    if not (has_option or how.chat):
        with suppress(ConversationsError):
            return load_documents(file, ReadOptions(), tell=note)
    return load_documents(file, replace(how, chat=not has_option), tell=note)


def _describe(docs: Sequence[Document]) -> dict[str, Any]:
    """Return statistics of documents.

    The length of a document is its number of characters, plus 1 and, in a conversation, 2 per turn.
    """
    is_chat = not isinstance(docs[0], str)
    lengths = sorted(count_characters(doc) + 1 + 2 * is_chat * len(doc) for doc in docs)
    char_counts = Counter(chain.from_iterable(chain.from_iterable(map(texts_of, docs))))
    different = {doc if isinstance(doc, str) else tuple(doc) for doc in docs}
    return {
        "is_chat": is_chat,
        "n_docs": len(docs),
        "n_repeats": len(docs) - len(different),
        "n_tokens": sum(lengths),
        "char_counts": dict(sorted(char_counts.items())),
        "lengths": {"min": lengths[0], "median": median_low(lengths), "max": lengths[-1]},
    }


def print_report(facts: Mapping[str, Any], column: str | None, minutes: float) -> None:
    """Print a report on the result of `describe_file`."""
    what = f"each document is a {facts['kind']}"
    if facts["n_characters"]:
        what = f"running text, {facts['n_characters']:,} characters"
    elif column is not None:
        what = f"column {printable(column)!r}"
    elif facts["kind"] == "line":
        what = "conversations" if facts["is_chat"] else "lines of text"
    print(f"{facts['file']}: {what}")
    n_docs, n_repeats, counts = facts["n_docs"], facts["n_repeats"], facts["char_counts"]
    repeats = f"{n_repeats:,} ({percentage(n_repeats / n_docs)}) are" if n_repeats else "no"
    alphabet = printable("".join(counts), N_CHARACTERS)
    found = {
        "lines" if facts["n_characters"] else "documents": f"{n_docs:,}; {repeats} duplicates",
        "tokens to predict": f"{facts['n_tokens']:,}",
        "lengths": ", ".join(f"{name} {length:,}" for name, length in facts["lengths"].items()),
        "alphabet": f"{count(len(counts), 'character')}: {alphabet}",
    }
    print_facts(found)
    turns = "two per turn, " if facts["is_chat"] else ""
    print(f"tokens to predict are characters, {turns}and one for the end\n")
    print(*expectation_lines(facts["expectation"], minutes), sep="\n")
