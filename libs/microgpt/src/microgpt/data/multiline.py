"""Read documents of several lines: between blank lines or separator lines, or in FASTA format."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from statistics import mean, median

from microgpt.data.statistics import MAX_LINES
from microgpt.data.text_file import ReadOptions, TextFile
from microgpt.errors import ConfigError, DataError
from microgpt.formatting import printable
from microgpt.plugins import Tell

BLANK, LINE = "blank", "line"  # separators: blank lines, or the end of each line
MAX_RECORD_LINES = 40  # maximum mean number of lines per record after two blank lines
MAX_VERSE = 60  # maximum mean number of characters per line of verse; lines of prose are longer
MIN_RECORDS = 4  # minimum number of blocks in a file that is read as records
# Marks that separate documents, such as <|endoftext|>, and wikiextractor's lines around articles.
END_OF_TEXT = re.compile(r"<\|(?:start|end)oftext\|>|^<doc id=.*>$|^</doc>$", re.MULTILINE)
MARKED = re.compile(r"^\s*<\|(?:start|end)oftext\|>|<\|endoftext\|>\s*$|^<doc id=.*>$")
SEQUENCE = re.compile(r"[A-Za-z*.-]+")
LABEL = re.compile(
    r"([A-Za-z][\w -]{0,19}[:=]|[\\[][A-Za-z]+ |@(?=[A-Za-z]+\{)|[A-Z][A-Z\d] {2}-)\s*[^\s:=]"
)
ITEM = re.compile(r"\s*[\d*•½¼¾-]")  # the beginning of a list item or an ingredient
SEPARATORS = ("%", "%%", "==========", "$$$$", "*-")  # in fortune, Kindle, SDF and Humdrum files

Block = tuple[int, list[str]]  # number of blank lines before a block, and the lines of the block


def read_multiline(file: TextFile, how: ReadOptions, tell: Tell | None = None) -> list[str] | None:
    """Return the documents of a file if they have several lines each; None for other files."""
    if how.separator == LINE or how.text == "stream":
        return None
    if how.separator is not None:
        file.kind, file.otherwise = "block", ""
        return _between(file, how.separator)
    head = [*islice(file, MAX_LINES)]
    texts = [*filter(str.strip, head)]
    marks = [text.rstrip() for text in texts if text.startswith(SEPARATORS)]
    docs = None
    if any(map(MARKED.search, head)):
        file.kind = "text between marks such as <|endoftext|>"
        docs = [text.strip() for text in END_OF_TEXT.split("\n".join(file)) if text.strip()]
    elif _is_fasta(texts):
        file.kind = "FASTA sequence, without its header"
        groups = groupby(file, lambda line: line.startswith((">", ";")))
        docs = ["".join(map(str.strip, lines)) for is_header, lines in groups if not is_header]
    elif len(marks) >= MIN_RECORDS and len({*marks}) == 1 and marks[0] in SEPARATORS:
        file.kind = f"text between lines with {marks[0]}"
        docs = _between(file, marks[0])
    elif is_first := _first_blocks(head):
        file.kind = "record between blank lines"
        docs = [*_records(_blocks(file), is_first)]
    if docs:
        file.otherwise = "--text lines: each line; --text stream: one running text"
    return docs and [doc for doc in docs if doc]


def _between(file: TextFile, separator: str) -> list[str]:
    """Return the stripped texts between separator lines, such as %, or between blank lines."""
    wanted = "" if separator == BLANK else separator.strip()
    if not wanted and separator != BLANK:
        raise ConfigError(f"--separator is empty; for blank lines use --separator {BLANK}")
    grouped = groupby(file, lambda line: line.strip() == wanted)
    blocks = [(is_separator, "\n".join(lines).strip()) for is_separator, lines in grouped]
    if not any(is_separator for is_separator, _ in blocks):
        what = "blank line" if separator == BLANK else f"line {printable(separator)!r}"
        raise DataError(f"{file.path} has no {what} to separate documents; omit --separator")
    return [text for is_separator, text in blocks if text and not is_separator]


def _is_fasta(texts: Sequence[str]) -> bool:
    """Return whether lines are in FASTA format: headers that begin with >, and sequences."""
    is_headed = len(texts) > 1 and texts[0].startswith(">") and not texts[-1:][0].startswith(">>")
    rest = [text for text in texts if not text.startswith((">", ";"))]
    return is_headed and bool(rest) and all(map(SEQUENCE.fullmatch, map(str.strip, rest)))


def _blocks(lines: Iterable[str]) -> Iterator[Block]:
    """Yield each block of lines between blank lines, with the number of blank lines before it."""
    n_blank = 0
    for is_text, group in groupby(lines, lambda line: bool(line.strip())):
        if is_text:
            yield n_blank, [*group]
        else:
            n_blank = sum(1 for _ in group)


def _first_blocks(head: Sequence[str]) -> Callable[[Block], bool] | None:
    """Return a predicate for the first block of a record, or None if the lines have no records.

    Records begin with the same label (`X:1`, `Title: Tea`), or follow two blank lines, or are
    blocks with distinct titles, or verses of two, three or five lines, such as haiku.
    """
    blocks = [*_blocks(head)]
    blocks = blocks[:-1] if len(head) == MAX_LINES else blocks
    n, n_lines = len(blocks), sum(len(lines) for _, lines in blocks)
    if n < MIN_RECORDS:
        return None
    are_long = 2 * n_lines >= 3 * n
    labels = [found and found[1] for _, lines in blocks for found in [LABEL.match(lines[0])]]
    label = labels[0] or labels[1]  # the first block can be a preamble without a label
    n_label = labels.count(label)
    if are_long and label and n_label >= MIN_RECORDS and 4 * n_label >= n:
        return lambda block: block[1][0].startswith(label)
    if 10 * sum(line[0].isspace() for _, lines in blocks for line in lines) >= n_lines:
        return None  # the file is indented source code
    n_wide = sum(gap > 1 for gap, _ in blocks[1:])
    if MIN_RECORDS < n_wide < n - 1 and n_lines <= MAX_RECORD_LINES * n_wide:
        return lambda block: block[0] > 1
    return (lambda block: True) if are_long and _are_alike([lines for _, lines in blocks]) else None


def _are_alike(blocks: Sequence[list[str]]) -> bool:
    """Return whether most blocks have distinct titles or are verses of two, three or five lines."""
    titled = [lines for lines in blocks if len(lines) > 1]
    firsts = {lines[0] for lines in blocks}
    if 5 * len(titled) < 4 * len(blocks) or 5 * len(firsts) < 4 * len(blocks):
        return False  # the blocks are one-line paragraphs, or speeches headed by a speaker's name
    n_letters = sum(len(line) for lines in blocks for line in lines)
    size, n_such = Counter(map(len, blocks)).most_common(1)[0]
    is_verse = n_letters < MAX_VERSE * sum(map(len, blocks))
    if is_verse and size in (2, 3, 5) and 10 * n_such >= 9 * len(blocks) >= 9 * 2 * MIN_RECORDS:
        return True
    rest = [*chain.from_iterable(lines[1:] for lines in titled)]
    n_items = sum(map(bool, map(ITEM.match, rest)))
    n_titles = sum(not ITEM.match(lines[0]) for lines in titled)
    if 5 * n_items >= 2 * len(rest) and 10 * n_titles >= 9 * len(titled):
        return True
    lengths = [(len(lines[0]), median(map(len, lines[1:]))) for lines in titled]
    n_short = sum(10 * first <= 7 * other for first, other in lengths)
    return 5 * n_short >= 4 * len(titled) and mean(map(len, rest)) < 80


def _records(blocks: Iterable[Block], is_first: Callable[[Block], bool]) -> Iterator[str]:
    """Yield records, each of which is a first block and the blocks before the next first block."""
    texts: list[str] = []
    for block in blocks:
        if texts and is_first(block):
            yield "\n\n".join(texts)
            texts = []
        texts.append("\n".join(line.rstrip() for line in block[1]).strip())
    yield "\n\n".join(texts)
