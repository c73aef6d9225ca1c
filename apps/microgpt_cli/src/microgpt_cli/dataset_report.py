"""`microgpt info --data`: statistics of documents."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from statistics import median_low
from typing import Any

from microgpt import (
    CharTokenizer,
    ConversationsError,
    Document,
    Fitting,
    ReadOptions,
    TextFile,
    TimeLimit,
    Tokenizer,
    choose_settings,
    count,
    hold_out,
    load_documents,
    percentage,
    prepare_replies,
    printable,
    texts_of,
)
from microgpt_cli.chosen_settings import explain_settings
from microgpt_cli.counting import expect, expectation_lines
from microgpt_cli.terminal.console import note, print_facts, quoted

N_CHARACTERS = 160  # maximum number of characters listed as the alphabet
N_FREQUENT = 5  # maximum number of duplicates to list
CLIP = 24  # maximum number of characters printed per document


def describe_file(
    data: Path,
    how: ReadOptions,
    limits: Mapping[str, float],
    limit: TimeLimit | None,
) -> dict[str, Any]:
    """Return the statistics of a file as a JSON object; docs/reference/data.md has its fields.

    Args:
        limits: the time limit or the budget, for which the settings are explained.
    """
    file = TextFile(data)
    docs = _read(file, how)
    given = prepare_replies(docs, limits, lambda line: None).given
    sets = hold_out(docs, given, tell=note)
    given = {**given, "text": "stream" if isinstance(docs, str) else "lines"}
    choice = choose_settings(Fitting(sets, given), limit)
    tokenizer, size, n_characters = choice.tokenizer, choice.model.block_size, None
    expectation = expect(docs, limits.get("minutes", 1))
    if isinstance(docs, str):
        note("tokens, lengths and repeats refer to the lines of this running text")
        n_characters = len(docs)
        docs = [line.strip() for line in docs.split("\n") if line.strip()]
    if tokenizer.kind == "char":
        tokenizer = CharTokenizer.from_documents(docs)  # it knows all characters, and does not fold
    facts: dict[str, Any] = {
        "file": str(data),
        "kind": file.kind,
        "otherwise": file.otherwise,
        "is_chat": tokenizer.is_chat,
        "n_characters": n_characters,
        "tokenizer": tokenizer.kind,
        "vocab_size": tokenizer.vocab_size,
        **_describe(docs, tokenizer, size),
        "expectation": expectation,
    }
    if "minutes" in limits:
        facts["minutes"] = limits["minutes"]
    if limits:
        facts["choice"] = [*explain_settings(choice)]
    return facts


def _read(file: TextFile, how: ReadOptions) -> Sequence[Document] | str:
    """Return the documents as `train` reads them; detect conversations."""
    has_option = how.column is not None or how.separator is not None
    if not (has_option or how.chat):
        with suppress(ConversationsError):
            return load_documents(file, ReadOptions(), tell=_tell)
    return load_documents(file, replace(how, chat=not has_option), tell=_tell)


def _tell(line: str) -> None:
    if not line.startswith("reading "):  # the report says how the file is read
        note(line)


def _describe(docs: Sequence[Document], tokenizer: Tokenizer, block_size: int) -> dict[str, Any]:
    """Return statistics of documents.

    Lengths count the predicted tokens: the text, two special tokens per turn of a conversation, and
    the end token. A document fits into a context of its length.
    """
    lengths = sorted(tokenizer.count_tokens(doc) - 1 for doc in docs)
    char_counts = Counter(chain.from_iterable(chain.from_iterable(map(texts_of, docs))))
    copies = Counter(doc if isinstance(doc, str) else tuple(doc) for doc in docs)
    return {
        "n_docs": len(docs),
        "n_repeats": len(docs) - len(copies),
        "most_frequent": [
            {"document": doc if isinstance(doc, str) else list(map(asdict, doc)), "n": n}
            for doc, n in copies.most_common(N_FREQUENT)
            if n > 1
        ],
        "n_tokens": sum(lengths),
        "char_counts": dict(sorted(char_counts.items())),
        "lengths": {"min": lengths[0], "median": median_low(lengths), "max": lengths[-1]},
        "recommended_block_size": block_size,
        "n_longer": sum(each > block_size for each in lengths),
    }


def print_report(facts: Mapping[str, Any], how: ReadOptions) -> None:
    """Print a report on a file from what `describe_file` has found."""
    what, otherwise = f"each document is a {facts['kind']}", facts["otherwise"]
    if facts["kind"] == "line":
        what = "conversations" if facts["is_chat"] else "lines of text"
    if how.column is not None:
        what = f"column {printable(how.column)!r}"
    if facts["n_characters"]:
        what = f"running text, {facts['n_characters']:,} characters"
    print(f"{facts['file']}: {what}")
    if otherwise:
        print(f"  otherwise: {otherwise}")
    print_facts(_statistics(facts))
    print(*_lengths(facts), "", sep="\n")
    print(*expectation_lines(facts["expectation"], facts.get("minutes", 1)), sep="\n")
    if "choice" in facts:
        print("", *facts["choice"], sep="\n")


def _statistics(facts: Mapping[str, Any]) -> dict[str, str]:
    n_docs, n_repeats = facts["n_docs"], facts["n_repeats"]
    repeats = f"{_with_percent(n_repeats, n_docs)} are duplicates" if n_repeats else "no duplicates"
    counts = facts["char_counts"]
    alphabet = printable("".join(counts), N_CHARACTERS)
    frequent = [f"{_clip(each['document'])} ({each['n']:,})" for each in facts["most_frequent"]]
    found = {
        "lines" if facts["n_characters"] else "documents": f"{n_docs:,}; {repeats}",
        "most frequent": ", ".join(frequent),
        "tokens to predict": f"{facts['n_tokens']:,}",
        "alphabet": f"{count(len(counts), 'character')}: {alphabet}",
    }
    return {name: text for name, text in found.items() if text}


def _lengths(facts: Mapping[str, Any]) -> Iterator[str]:
    turns = "two per turn, " if facts["is_chat"] else ""
    piece = "character" if facts["tokenizer"] == "char" else "subword"
    yield f"lengths in tokens to predict: one per {piece}, {turns}one for the end"
    yield "  " + ", ".join(f"{name} {length:,}" for name, length in facts["lengths"].items())
    if not facts["n_characters"]:  # running text has no documents that are too long
        n_longer = _with_percent(facts["n_longer"], facts["n_docs"])
        size = facts["recommended_block_size"]
        yield f"recommended block size, the default of train: {size:,}; longer: {n_longer}"


def _clip(doc: Any) -> str:
    text = doc if isinstance(doc, str) else " / ".join(message["content"] for message in doc)
    return quoted(text, CLIP)


def _with_percent(n: int, total: int) -> str:
    return f"{n:,} ({percentage(n / total)})" if n else "none"
