"""`microgpt info --data`: dataset statistics and training speed."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.cells import chop_cells
from rich.console import Console
from rich.text import Text

from microgpt import (
    LOSS_RATIO,
    RARE,
    ConversationsError,
    Cut,
    DataReport,
    Document,
    Expectation,
    ModelConfig,
    ReadOptions,
    SavedModel,
    TextFile,
    TimeLimit,
    TrainConfig,
    choose_settings,
    count,
    count_with_others,
    describe,
    duration,
    expected_loss,
    explain_settings,
    extended_tokenizer,
    hold_out,
    load_documents,
    load_lines_or_stream,
    operations_per_second,
    percentage,
    prepare_replies,
    printable,
    read_by_kind,
    step_operations,
    useful_operations,
)
from microgpt_cli.model_loading import load_model
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.progress import load_kernels

PERCENTS = (0, 5, 25, 50, 75, 95, 99, 100)
WIDTH, INDENT = 78, 20  # widths of the report and of the name column, in characters
N_ALPHABET_LINES = 4  # maximum number of lines for the alphabet
N_NAMED = 12  # maximum number of characters listed with their counts
CLIP = 24  # maximum width of a document, in columns
LINE_END_NAMES = {"\n": r"\n", "\r": r"\r (old Mac)", "\r\n": r"\r\n (Windows)"}


@dataclass(frozen=True)
class DatasetReport:
    """The output of `microgpt info --data`."""

    file: TextFile
    how: ReadOptions
    n_characters: int | None  # length of running text; None for documents
    report: DataReport
    cuts: Sequence[Cut]  # documents too long for each block size, smallest block size first
    model: ModelConfig  # model and training settings of `train` for the file, for the speed
    config: TrainConfig
    docs_per_s: float  # training speed with one thread, in documents or in chunks of running text
    tokens_per_s: float
    # With a model: the count of each character that is unknown to it, most frequent first, and the
    # number of documents with such a character.
    unknown: Mapping[str, int] | None
    n_unknown_docs: int
    # For a time limit or a budget: what `train` would choose and why, and the expected result.
    explanation: Sequence[str]
    expectation: Expectation | None


def analyze_file(
    data: Path,
    model_dir: Path | None,
    how: ReadOptions,
    *,
    limits: Mapping[str, float | None],
    limit: TimeLimit | None = None,
) -> DatasetReport:
    """Compute the statistics of a file and measure the training speed."""
    saved = load_model(model_dir) if model_dir else None
    file = TextFile(data)
    docs = _read(file, how, is_chat=how.chat or (saved.tokenizer.is_chat if saved else None))
    has_budget = any(limits.values())
    limits = {name: value for name, value in limits.items() if value is not None}
    given = prepare_replies(docs, limits, lambda line: None).given
    parts = hold_out(docs, given, tell=note)
    given = {**given, "text": "stream" if isinstance(docs, str) else "lines"}
    choice = choose_settings(parts, given, limit=limit, load_kernels=load_kernels)
    config, tokenizer, n_characters = choice.config, choice.tokenizer, None
    expectation = None
    if has_budget and parts.validation:
        operations = min(choice.operations, useful_operations(choice.sizes))
        expectation = expected_loss(parts, operations)
        if choice.ensemble:
            expectation = Expectation(*(LOSS_RATIO * loss for loss in expectation))
    if isinstance(docs, str):
        note(f"{data} is read as running text; tokens, lengths and repeats refer to its lines")
        n_characters = len(docs)
        docs = [line.strip() for line in docs.split("\n") if line.strip()]
    if saved and saved.tokenizer.kind == "bpe":
        tokenizer = extended_tokenizer(saved, docs)
    report = describe(docs, tokenizer if tokenizer.kind == "bpe" else None)
    model = replace(choice.model, vocab_size=tokenizer.vocab_size)
    length = float(model.block_size)
    if n_characters is None:
        length = (report.n_tokens - report.cut(model.block_size).n_tokens) / report.n_docs
    unknown = _unknown(saved, report) if saved else None
    known = report.char_counts.keys() - (unknown or {})
    load_kernels(None, uses=["training"])
    speed = operations_per_second(model, config, length=length)
    docs_per_s = config.batch_size * speed / step_operations(model, config, length)
    return DatasetReport(
        file=file,
        how=replace(how, chat=report.tokenizer.is_chat),
        n_characters=n_characters,
        report=report,
        cuts=_cuts(report, model.block_size, saved),
        model=model,
        config=config,
        docs_per_s=docs_per_s,
        tokens_per_s=docs_per_s * length,
        unknown=unknown,
        n_unknown_docs=count_with_others(docs, known) if unknown else 0,
        explanation=explain_settings(choice) if has_budget else (),
        expectation=expectation,
    )


def _read(file: TextFile, how: ReadOptions, *, is_chat: bool | None) -> Sequence[Document] | str:
    """Return the documents as `train` reads them; detect conversations if `is_chat` is None."""
    has_option = how.column is not None or how.separator is not None
    if not (has_option or is_chat or file.path.is_dir()):
        try:
            docs = read_by_kind(file, ReadOptions(), note)
            return load_lines_or_stream(file, tell=note) if docs is None else docs
        except ConversationsError:
            if is_chat is False:
                raise
    return load_documents(file, replace(how, chat=not has_option), tell=note)


def as_facts(found: DatasetReport) -> dict[str, object]:
    """Return the report as a JSON object."""
    report = found.report
    facts: dict[str, object] = {
        "file": str(found.file.path),
        "is_chat": report.tokenizer.is_chat,
        "n_docs": report.n_docs,
        "n_repeats": report.n_repeats,
        "n_alike": report.n_alike,
        "most_frequent": [
            {"document": doc if isinstance(doc, str) else list(map(asdict, doc)), "n": n}
            for doc, n in report.most_frequent
        ],
        "n_tokens": report.n_tokens,
        "vocab_size": report.tokenizer.vocab_size,
        "char_counts": report.char_counts,
        "rare": report.rare,
        "has_bom": found.file.has_bom,
        "line_ends": sorted(found.file.line_ends),
        "lengths": {f"p{percent}": report.percentile(percent) for percent in PERCENTS},
        "recommended_block_size": found.model.block_size,
        "cuts": [asdict(cut) for cut in found.cuts],
        "training": {
            "model": asdict(found.model),
            "docs_per_s": found.docs_per_s,
            "tokens_per_s": found.tokens_per_s,
            "batch_size": found.config.batch_size,
            "steps": found.config.steps,
            "seconds_1000_steps": 1000 * found.config.batch_size / found.docs_per_s,
            "seconds_all_docs": report.n_tokens / found.tokens_per_s,
        },
    }
    if found.explanation:
        facts["choice"] = list(found.explanation)
    if found.expectation:
        facts["expected_loss"] = found.expectation._asdict()
    if found.unknown is not None:
        facts["suitability"] = {"unknown": found.unknown, "n_docs": found.n_unknown_docs}
    return facts


def _cuts(report: DataReport, default: int, saved: SavedModel | None) -> list[Cut]:
    """Count the documents that are too long for a model, and for 1/4 to 4 times the default."""
    powers = [default * 2**i // 4 for i in range(5)]
    enough = next((size for size in powers if not report.cut(size).n_docs), powers[-1])
    sizes = {size for size in powers if 1 <= size <= enough} | {default}
    sizes |= {saved.model.block_size} if saved else set()
    return [report.cut(size) for size in sorted(sizes)]


def _unknown(saved: SavedModel, report: DataReport) -> dict[str, int]:
    """Return the count of each character that a model does not know, most frequent first."""
    unknown = saved.tokenizer.unknown_characters("".join(report.char_counts))
    counts = ((char, report.char_counts[char]) for char in unknown)
    return dict(sorted(counts, key=lambda item: -item[1]))


def report_lines(found: DatasetReport) -> Iterator[str]:
    """Yield the lines of the report."""
    report = found.report
    what = "conversations" if report.tokenizer.is_chat else "lines of text"
    if found.how.column is not None:
        what = f"column {printable(found.how.column)!r}"
    if found.n_characters is not None:
        what = f"running text, {found.n_characters:,} characters"
    yield f"{found.file.path}: {what}"
    for name, text in _facts(found):
        yield from _fact(name, text)
    sections = [_percentiles(report), _training(found)]
    if found.n_characters is None:  # running text has no documents to truncate
        sections.insert(1, _cut_table(found))
    if found.explanation:
        sections.append(_choice(found))
    if found.unknown is not None:
        sections.append(_unknown_characters(found.unknown, found.n_unknown_docs, report.n_docs))
    for section in sections:
        yield ""
        yield from section


def _facts(found: DatasetReport) -> Iterator[tuple[str, str]]:
    report, file = found.report, found.file
    repeats = f"{_with_percent(report.n_repeats, report.n_docs)} are duplicates"
    unit = "documents" if found.n_characters is None else "lines"
    yield unit, f"{report.n_docs:,}; {repeats if report.n_repeats else 'no duplicates'}"
    if report.n_alike and found.n_characters is None:
        n_alike = _with_percent(report.n_alike, report.n_docs)
        yield "", f"{n_alike} differ from another only in case, accents or invisible characters"
    if report.most_frequent:
        yield "most frequent", ", ".join(f"{_clip(doc)} ({n:,})" for doc, n in report.most_frequent)
    yield "tokens to predict", f"{report.n_tokens:,}"
    line_ends = " and ".join(LINE_END_NAMES[end] for end in sorted(file.line_ends))
    bom = " with a byte order mark (skipped)" if file.has_bom else ""
    yield "encoding", f"UTF-8{bom}{line_ends and '; lines end with '}{line_ends}"
    counts = report.char_counts
    visible = "".join(char for char in counts if _is_visible(char))
    lines = chop_cells(visible, WIDTH - INDENT - 2)
    yield "alphabet", count(len(counts), "character")
    for line in lines[:N_ALPHABET_LINES]:
        yield "", line
    if n_more := sum(map(len, lines[N_ALPHABET_LINES:])):
        yield "", f"and {n_more:,} more"
    if hidden := {char: n for char, n in counts.items() if not _is_visible(char)}:
        yield "", _list_counts(hidden)
    if report.rare:
        yield f"under {RARE} times", _list_counts(report.rare)


def _percentiles(report: DataReport) -> Iterator[str]:
    turns = "two per turn, " if report.tokenizer.is_chat else ""
    piece = "character" if report.tokenizer.kind == "char" else "subword"
    yield f"lengths in tokens to predict: one per {piece}, {turns}one for the end"
    names = ["min", *(f"{percent}%" for percent in PERCENTS[1:-1]), "max"]
    lengths = [f"{report.percentile(percent):,}" for percent in PERCENTS]
    for row in (names, lengths):
        yield "".join(f"{text:>{max(7, len(lengths[-1]) + 2)}}" for text in row)


def _cut_table(found: DatasetReport) -> Iterator[str]:
    report = found.report
    yield "block size  documents too long     tokens beyond it"
    for cut in found.cuts:
        n_docs = _with_percent(cut.n_docs, report.n_docs)
        n_tokens = _with_percent(cut.n_tokens, report.n_tokens)
        remark = "recommended" if cut.block_size == found.model.block_size else ""
        yield f"{cut.block_size:>10,}  {n_docs:<21}  {n_tokens:<24}  {remark}".rstrip()
    n = found.model.block_size
    yield f"({n:,} is the default of train: 99% of the documents fit, or it is the maximum)"


def _training(found: DatasetReport) -> Iterator[str]:
    model, config = found.model, found.config
    shape = f"width {model.n_embd:,}, layers {model.n_layer:,}, context {model.block_size:,}"
    yield f"training: {shape}, batch size {config.batch_size:,}, one thread"
    unit = "documents" if found.n_characters is None else "chunks"
    rate = f"{found.docs_per_s:,.0f} {unit}/s, {found.tokens_per_s:,.0f} tokens/s"
    seconds = config.steps * config.batch_size / found.docs_per_s
    yield from _fact(f"{config.steps:,} steps", duration(seconds))
    yield from _fact(f"all {unit}", duration(found.report.n_tokens / found.tokens_per_s))
    yield from _fact("on this computer", rate)


def _choice(found: DatasetReport) -> Iterator[str]:
    yield from found.explanation
    if loss := found.expectation:
        yield (
            f"expected held-out loss: {loss.loss:.2f} bits per character "
            f"({loss.low:.2f} to {loss.high:.2f} in 95 % of training runs)"
        )


def _unknown_characters(unknown: Mapping[str, int], n: int, n_docs: int) -> Iterator[str]:
    if not unknown:
        yield "the model knows all characters"
        return
    yield f"characters unknown to the model: {len(unknown):,}"
    yield from _fact("documents affected", _with_percent(n, n_docs))
    yield from _fact("characters", _list_counts(unknown))


def _fact(name: str, text: str) -> Iterator[str]:
    """Yield the lines of two columns: a name, and a text that is wrapped."""
    for i, line in enumerate(Text(text).wrap(Console(), WIDTH - INDENT - 2)):
        yield f"  {'' if i or not name else name + ':':<{INDENT}}{line}".rstrip()


def _list_counts(counts: Mapping[str, int]) -> str:
    shown = [(repr(c) if _is_visible(c) else ascii(c), n) for c, n in [*counts.items()][:N_NAMED]]
    more = [f"and {len(counts) - N_NAMED:,} more"] if len(counts) > N_NAMED else []
    return ", ".join([*(f"{char} ({n:,})" for char, n in shown), *more])


def _is_visible(char: str) -> bool:
    """Return whether a character is visible when printed alone."""
    return char.isprintable() and char != " " and not unicodedata.category(char).startswith("M")


def _clip(doc: Document) -> str:
    text = doc if isinstance(doc, str) else " / ".join(message.content for message in doc)
    pieces = chop_cells(text[: CLIP + 1], CLIP)
    return repr(pieces[0] + "..." * (len(pieces) > 1))


def _with_percent(n: int, total: int) -> str:
    return f"{n:,} ({percentage(n / total)})" if n else "none"
