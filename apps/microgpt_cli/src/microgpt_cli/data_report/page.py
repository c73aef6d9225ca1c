"""What `microgpt info --data` prints: a page of 78 columns, with a picture of the lengths."""

import sys
import unicodedata
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.cells import chop_cells
from rich.console import Console
from rich.text import Text

from microgpt.data.statistics import RARE, DataReport
from microgpt_cli.data_report.findings import PERCENTS, DatasetReport, Suitability
from microgpt_cli.terminal.progress import duration

if TYPE_CHECKING:
    from microgpt.data.text_file import TextFile
    from microgpt.data.tokenizer import Document

WIDTH, INDENT = 78, 20  # columns of the page, and of the names of its facts
BAR_WIDTH = 50
N_ALPHABET_LINES = 4  # of characters; an alphabet can have thousands
N_NAMED = 12  # characters that are told with how often they come
CLIP = 24  # characters of a document that are shown
BLOCKS = "▏▎▍▌▋▊▉█"  # one eighth of a column to eight
LINE_END_NAMES = {"\n": r"\n", "\r": r"\r (old Mac)", "\r\n": r"\r\n (Windows)"}


def page(found: DatasetReport) -> Iterator[str]:
    """Yield the lines of the page."""
    report, is_chat = found.report, found.report.tokenizer.is_chat
    yield f"{found.file.path}: {'conversations' if is_chat else 'lines of text'}"
    for name, text in _facts(report, found.file):
        yield from _fact(name, text)
    yield ""
    turns = "two for a turn, " if is_chat else ""
    piece = "a character" if report.tokenizer.kind == "char" else "each subword of the model"
    yield f"lengths, in tokens to predict: one for {piece}, {turns}one for the end"
    yield from _percentiles(report)
    yield ""
    yield from _picture(report)
    yield ""
    yield from _cut_table(found)
    yield ""
    yield from _training(found)
    if found.suitability:
        yield ""
        yield from _suitability(found.suitability, report.n_docs)


def _facts(report: DataReport, file: "TextFile") -> Iterator[tuple[str, str]]:
    repeats = f"{_part(report.n_repeats, report.n_docs)} repeat an earlier one"
    yield "documents", f"{report.n_docs:,}; {repeats if report.n_repeats else 'all different'}"
    if report.most_frequent:
        yield "most frequent", ", ".join(f"{_clip(doc)} ({n:,})" for doc, n in report.most_frequent)
    yield "tokens to predict", f"{report.n_tokens:,}"
    line_ends = " and ".join(LINE_END_NAMES[end] for end in sorted(file.line_ends))
    bom = ", with a byte order mark, which is left out" if file.has_bom else ""
    yield "encoding", f"UTF-8{bom}{line_ends and '; lines end with '}{line_ends}"
    counts = report.char_counts
    visible = "".join(char for char in counts if _is_visible(char))
    lines = chop_cells(visible, WIDTH - INDENT - 2)
    yield "alphabet", f"{len(counts):,} character{'s' * (len(counts) > 1)}"
    for line in lines[:N_ALPHABET_LINES]:
        yield "", line
    if n_more := sum(map(len, lines[N_ALPHABET_LINES:])):
        yield "", f"and {n_more:,} more"
    if hidden := {char: n for char, n in counts.items() if not _is_visible(char)}:
        yield "", _named(hidden)
    if report.rare:
        yield f"under {RARE} times", _named(report.rare)


def _percentiles(report: DataReport) -> Iterator[str]:
    names = ["min", *(f"{percent}%" for percent in PERCENTS[1:-1]), "max"]
    lengths = [f"{report.percentile(percent):,}" for percent in PERCENTS]
    for row in (names, lengths):
        yield "".join(f"{text:>{max(7, len(lengths[-1]) + 2)}}" for text in row)


def _picture(report: DataReport) -> Iterator[str]:
    """Yield a bar for each range of lengths."""
    bins = report.histogram()
    labels = [f"{b.first:,}" if b.first == b.last else f"{b.first:,}-{b.last:,}" for b in bins]
    width, most = max(map(len, labels)), max(b.n_docs for b in bins)
    for label, b in zip(labels, bins, strict=True):
        share = _percent(b.n_docs, report.n_docs) if b.n_docs else ""
        yield f"  {label:>{width}}  {_bar(b.n_docs / most)} {share}".rstrip()


def _bar(share: float) -> str:
    eighths = max(round(share * BAR_WIDTH * 8), share > 0)
    try:
        BLOCKS.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return "#" * -(-eighths // 8)
    rest = eighths % 8
    return BLOCKS[-1] * (eighths // 8) + BLOCKS[rest - 1 : rest]


def _cut_table(found: DatasetReport) -> Iterator[str]:
    report = found.report
    yield "block size  documents too long     tokens beyond it"
    for cut in found.cuts:
        n_docs, n_tokens = _part(cut.n_docs, report.n_docs), _part(cut.n_tokens, report.n_tokens)
        remark = "recommended" if cut.block_size == report.block_size else ""
        yield f"{cut.block_size:>10,}  {n_docs:<21}  {n_tokens:<24}  {remark}".rstrip()
    cut = report.cut(report.block_size)
    if not cut.n_docs:
        why = "the smallest power of two that holds every document"
    elif report.is_small(cut):
        why = "the smallest power of two beyond which lies at most 1% of either"
    else:
        why = "the most to recommend: above it, a step becomes slow"
    yield f"({cut.block_size:,} is {why})"


def _training(found: DatasetReport) -> Iterator[str]:
    model, speed = found.model, found.speed
    yield (
        f"training: n_embd {model.n_embd}, n_layer {model.n_layer}, block size "
        f"{model.block_size}; a document a step, one thread"
    )
    yield from _fact("1,000 steps", _duration(1000 / speed.docs_per_s))
    yield from _fact(
        "all documents", _duration(found.report.n_pieces(model.block_size) / speed.docs_per_s)
    )
    yield from _fact(
        "on this computer",
        f"{speed.docs_per_s:,.0f} documents/s, {speed.tokens_per_s:,.0f} tokens/s",
    )


def _suitability(found: Suitability, n_docs: int) -> Iterator[str]:
    if not found.unknown:
        yield "the model knows all characters"
        return
    yield f"characters that the model does not know: {len(found.unknown):,}"
    yield from _fact("in the documents", _part(found.n_docs, n_docs))
    yield from _fact("they are", _named(found.unknown))


def _fact(name: str, text: str) -> Iterator[str]:
    """Yield a name and a text beside it, in as many lines as it takes."""
    for i, line in enumerate(Text(text).wrap(Console(), WIDTH - INDENT - 2)):
        yield f"  {'' if i or not name else name + ':':<{INDENT}}{line}".rstrip()


def _named(counts: Mapping[str, int]) -> str:
    """Return some characters with how often they come."""
    named = [
        f"{repr(char) if _is_visible(char) else ascii(char)} ({n:,})" for char, n in counts.items()
    ]
    more = [f"and {len(named) - N_NAMED:,} more"] if len(named) > N_NAMED else []
    return ", ".join(named[:N_NAMED] + more)


def _is_visible(char: str) -> bool:
    """Return whether a character has a shape of its own, so that it can stand among others."""
    return char.isprintable() and char != " " and not unicodedata.category(char).startswith("M")


def _clip(doc: "Document") -> str:
    text = doc if isinstance(doc, str) else " / ".join(message.content for message in doc)
    pieces = chop_cells(text[: CLIP + 1], CLIP)
    return repr(pieces[0] + "..." * (len(pieces) > 1))


def _part(n: int, total: int) -> str:
    """Return a number and its share."""
    return f"{n:,} ({_percent(n, total)})" if n else "none"


def _percent(n: int, total: int) -> str:
    return f"{n / total:.1%}" if n / total >= 0.0005 else "<0.1%"


def _duration(seconds: float) -> str:
    if seconds < 0.001:
        return "less than 0.001 s"
    return f"{seconds:.2g} s" if seconds < 9.95 else duration(seconds)
