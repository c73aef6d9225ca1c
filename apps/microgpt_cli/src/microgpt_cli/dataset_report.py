"""`microgpt info --data`: dataset statistics and training speed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from microgpt import (
    CharTokenizer,
    ConversationsError,
    Document,
    Fitting,
    ModelConfig,
    ReadOptions,
    SavedModel,
    TextFile,
    TimeLimit,
    TrainConfig,
    choose_settings,
    count,
    duration,
    explain_settings,
    hold_out,
    load_documents,
    load_lines_or_stream,
    operations_per_second,
    percentage,
    prepare_replies,
    printable,
    read_by_kind,
    step_operations,
)
from microgpt_cli.document_statistics import PERCENTS, RARE, describe, lengths_of, suitability
from microgpt_cli.terminal.console import note, quoted
from microgpt_cli.terminal.progress import load_kernels

WIDTH, INDENT = 78, 20  # widths of the report and of the name column, in characters
N_CHARACTERS = 240  # maximum number of characters listed as the alphabet
N_NAMED = 12  # maximum number of characters listed with their counts
CLIP = 24  # maximum number of characters printed per document


def describe_file(
    data: Path,
    saved: SavedModel | None,
    how: ReadOptions,
    limits: Mapping[str, float],
    limit: TimeLimit | None,
) -> dict[str, Any]:
    """Return the statistics of a file and the training speed as a JSON object.

    Args:
        saved: model that is to be trained on the file.
        limits: the time limit or the budget, for which the settings are explained.
    """
    docs = _read(TextFile(data), how, how.chat or (saved.tokenizer.is_chat if saved else None))
    given = prepare_replies(docs, limits, lambda line: None).given
    parts = hold_out(docs, given, tell=note)
    given = {**given, "text": "stream" if isinstance(docs, str) else "lines"}
    choice = choose_settings(Fitting(parts, given), limit)
    tokenizer, n_characters = choice.tokenizer, None
    if isinstance(docs, str):
        note(f"{data} is read as running text; tokens, lengths and repeats refer to its lines")
        n_characters = len(docs)
        docs = [line.strip() for line in docs.split("\n") if line.strip()]
    if saved and saved.tokenizer.kind == "bpe":
        tokenizer = saved.tokenizer.extended(docs, is_chat=not isinstance(docs[0], str))
    model = replace(choice.model, vocab_size=tokenizer.vocab_size)
    if tokenizer.kind == "char":
        tokenizer = CharTokenizer.from_documents(docs)  # it knows all characters, and does not fold
    lengths, size = lengths_of(docs, tokenizer), model.block_size
    # Running text fills the contexts.
    length = size if n_characters else sum(min(each, size) for each in lengths) / len(docs)
    facts: dict[str, Any] = {
        "file": str(data),
        "is_chat": tokenizer.is_chat,
        "n_characters": n_characters,
        "tokenizer": tokenizer.kind,
        "vocab_size": tokenizer.vocab_size,
        **describe(docs, lengths),
        "recommended_block_size": size,
        "n_longer": sum(each > size for each in lengths),
        "training": _training_speed(model, choice.config, length, sum(lengths)),
    }
    if limits:
        facts["choice"] = [*explain_settings(choice)]
    if saved:
        facts["suitability"] = suitability(saved.tokenizer, docs, facts["char_counts"])
    return facts


def _read(file: TextFile, how: ReadOptions, is_chat: bool | None) -> Sequence[Document] | str:
    """Return the documents as `train` reads them; detect conversations if `is_chat` is None."""
    has_option = how.column is not None or how.separator is not None
    if not (has_option or is_chat or file.path.is_dir()):
        try:
            docs = read_by_kind(file, ReadOptions(), note)
            return load_lines_or_stream(file) if docs is None else docs
        except ConversationsError:
            if is_chat is False:
                raise
    return load_documents(file, replace(how, chat=not has_option), tell=note)


def _training_speed(
    model: ModelConfig, config: TrainConfig, length: float, n_tokens: int
) -> dict[str, Any]:
    """Measure the training speed with one thread, for documents or chunks of a mean length."""
    load_kernels(None, uses=["training"])
    speed = operations_per_second(model, config, length=length)
    docs_per_s = config.batch_size * speed / step_operations(model, config, length)
    return {
        "model": asdict(model),
        "docs_per_s": docs_per_s,
        "tokens_per_s": docs_per_s * length,
        "batch_size": config.batch_size,
        "steps": config.steps,
        "seconds_1000_steps": 1000 * config.batch_size / docs_per_s,
        "seconds_all_docs": n_tokens / (docs_per_s * length),
    }


def report_lines(facts: Mapping[str, Any], how: ReadOptions) -> Iterator[str]:
    """Yield the lines of a report on a file from what `describe_file` has found."""
    what = "conversations" if facts["is_chat"] else "lines of text"
    if how.column is not None:
        what = f"column {printable(how.column)!r}"
    if facts["n_characters"]:
        what = f"running text, {facts['n_characters']:,} characters"
    yield f"{facts['file']}: {what}"
    yield from _aligned(_statistics(facts))
    yield ""
    yield from _lengths(facts)
    yield ""
    yield from _training(facts)
    if "choice" in facts:
        yield from ("", *facts["choice"])
    if found := facts.get("suitability"):
        n, unknown = found["n_docs"], found["unknown"]
        yield ""
        yield f"characters unknown to the model: {len(unknown):,}"
        if unknown:
            affected = _with_percent(n, facts["n_docs"])
            yield from _aligned({"documents affected": affected, "characters": _listed(unknown)})


def _statistics(facts: Mapping[str, Any]) -> dict[str, str]:
    n_docs, n_repeats, n_alike = facts["n_docs"], facts["n_repeats"], facts["n_alike"]
    repeats = f"{_with_percent(n_repeats, n_docs)} are duplicates" if n_repeats else "no duplicates"
    if n_alike and not facts["n_characters"]:
        repeats += f"; {_with_percent(n_alike, n_docs)} differ from another only in case, accents "
        repeats += "or invisible characters"
    counts = facts["char_counts"]
    alphabet = printable("".join(counts), N_CHARACTERS)
    frequent = [f"{_clip(each['document'])} ({each['n']:,})" for each in facts["most_frequent"]]
    found = {
        "lines" if facts["n_characters"] else "documents": f"{n_docs:,}; {repeats}",
        "most frequent": ", ".join(frequent),
        "tokens to predict": f"{facts['n_tokens']:,}",
        "alphabet": f"{count(len(counts), 'character')}: {alphabet}",
        f"under {RARE} times": _listed(facts["rare"]),
    }
    return {name: text for name, text in found.items() if text}


def _lengths(facts: Mapping[str, Any]) -> Iterator[str]:
    turns = "two per turn, " if facts["is_chat"] else ""
    piece = "character" if facts["tokenizer"] == "char" else "subword"
    yield f"lengths in tokens to predict: one per {piece}, {turns}one for the end"
    names = ["min", *(f"{percent}%" for percent in PERCENTS[1:-1]), "max"]
    lengths = [f"{length:,}" for length in facts["lengths"].values()]
    for row in (names, lengths):
        yield "".join(f"{text:>{max(7, len(lengths[-1]) + 2)}}" for text in row)
    if not facts["n_characters"]:  # running text has no documents that are too long
        n_longer = _with_percent(facts["n_longer"], facts["n_docs"])
        size = facts["recommended_block_size"]
        yield f"recommended block size, the default of train: {size:,}; longer: {n_longer}"


def _training(facts: Mapping[str, Any]) -> Iterator[str]:
    found, unit = facts["training"], "chunks" if facts["n_characters"] else "documents"
    model, steps = ModelConfig(**found["model"]), found["steps"]
    shape = f"width {model.n_embd:,}, layers {model.n_layer:,}, context {model.block_size:,}"
    yield f"training: {shape}, batch size {found['batch_size']:,}, one thread"
    rates = f"{found['docs_per_s']:,.0f} {unit}/s, {found['tokens_per_s']:,.0f} tokens/s"
    yield from _aligned(
        {
            f"{steps:,} steps": duration(steps * found["seconds_1000_steps"] / 1000),
            f"all {unit}": duration(found["seconds_all_docs"]),
            "on this computer": rates,
        }
    )


def _aligned(facts: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of two columns: names, and texts that are wrapped."""
    for name, text in facts.items():
        for i, line in enumerate(Text(text).wrap(Console(), WIDTH - INDENT - 2)):
            yield f"  {'' if i else name + ':':<{INDENT}}{line}".rstrip()


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{char!r} ({n:,})" for char, n in [*counts.items()][:N_NAMED]]
    more = [f"and {len(counts) - N_NAMED:,} more"] if len(counts) > N_NAMED else []
    return ", ".join([*shown, *more])


def _clip(doc: Any) -> str:
    text = doc if isinstance(doc, str) else " / ".join(message["content"] for message in doc)
    return quoted(text, CLIP)


def _with_percent(n: int, total: int) -> str:
    return f"{n:,} ({percentage(n / total)})" if n else "none"
