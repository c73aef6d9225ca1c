"""Read tables with a header and files of JSON: their records, or the texts of a column or field."""

import csv
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple

from microgpt.data.text_file import ConversationsError, ReadOptions, TextFile
from microgpt.data.tokenizer import IGNORED_ROLES, ROLES
from microgpt.errors import DataError
from microgpt.formatting import printable
from microgpt.plugins import Tell

SAMPLE = 20  # maximum number of JSON values to examine
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".psv")
DELIMITERS = "\t;|,"  # the one that yields the most columns is used; the first if tied
N_NAMED = 20  # maximum number of column names in an error message
LONGEST_NAME = 60  # a longer first field of a table is not a column name
NOT_TEXT = re.compile("[\0\ud800-\udfff]")  # the null character, and lone surrogates
NUMBER = re.compile(r"[-+]?\d[\d.,:/ -]*%?")  # or a date; not a column name
SEP = re.compile("sep=(.)", re.IGNORECASE)  # written by spreadsheets
COMMENT = re.compile(r"#(?:[ #!]|[a-z ]+:|$)|\s*$")  # above a table, such as Anki's facts about it
STRING = re.compile(r'\s*"(?:[^"\\]|\\.)*"\s*')  # a line of JSON that is a string
# Names of the fields, or columns, of a question and its answer; what the question is about.
PAIRS = (
    ("prompt", "completion"), ("question", "answer"), ("instruction", "output"),
    ("instruction", "response"), ("prompt", "response"), ("prompt", "chosen"),
)  # fmt: skip
CONTEXTS = ("input", "context")  # of Alpaca and Dolly
ROLE_NAMES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}


class Records(NamedTuple):
    """The rows of a table, the values of a file of JSON, or other conversations."""

    values: Iterable[tuple[int, Any]]  # numbered; an error instead of a value that is not JSON
    unit: str = "line"  # the numbers count lines, or items of a JSON array
    columns: Sequence[str] | None = None  # a table has them; its rows are dictionaries
    has_header: bool = True  # or the columns are numbered

    @property
    def has_questions(self) -> bool:
        """Whether a table has columns of questions and of answers."""
        names = {name.lower() for name in self.columns or ()}
        return any(names >= {*pair} for pair in PAIRS)


def read_records(file: TextFile, what: str = "document", column: str | None = None) -> Records:
    """Return the records of a table, or of JSON: conversations also in a file named .csv.

    A table has a header unless a field of its first row cannot be a name, or the column to read is
    none of its names, but a number.
    """
    lines = [*file]
    first = _first_line(lines).lstrip()
    if not first:
        raise DataError(f"{file.path} is empty; write one {what} per line")
    is_json = first[0] in "[{" or STRING.fullmatch(first)
    if is_json and (what == "conversation" or not is_named_table(file.path)):
        return _json_records(lines)
    n_comments = sum(1 for _ in takewhile(COMMENT.match, lines))
    lines[:n_comments] = [""] * n_comments  # the numbers of the lines stay
    options, columns = _dialect(lines)
    is_number = column is not None and column.isdecimal()
    names = columns if all(columns[:1]) else columns[1:]  # that of an index may be empty
    has_header = column in columns or not (is_number or any(map(_is_no_name, names)))
    if not has_header:
        columns = [str(n) for n in range(1, 1 + len(columns))]
    rows = _rows(file.path, lines, columns, options, has_header=has_header)
    return Records(rows, columns=columns, has_header=has_header)


def is_named_table(path: Path) -> bool:
    """Return whether the name of a file is that of a table."""
    return path.suffix.lower() in TABLE_SUFFIXES


def load_column(file: TextFile, column: str, *, tell: Tell | None = None) -> list[str]:
    """Return the texts in a column of a table with a header, or in a field of JSON objects.

    JSON may be one object per line or an array of objects. Surrounding white space is removed, and
    rows without text are omitted.
    """
    records = read_records(file, column=column)
    names = dict.fromkeys(records.columns or ())
    if records.columns is not None and len(names) < 2 and not is_named_table(file.path):
        problem = "has neither a table header nor JSON objects"
        raise DataError(f"{file.path} {problem}; omit --column to read its lines")
    docs, n_rows = list[str](), 0
    for where, row in _objects(file.path, records):
        n_rows += 1
        names.update(dict.fromkeys(row))
        if text := _text(row.get(column), where, printable(column)):
            docs.append(text)
    if names and column not in names:
        raise DataError(
            f"{file.path} has no column {printable(column)!r}; choose one of: {listed(names)}"
        )
    if not docs:
        raise DataError(f"{file.path} has no text in column {printable(column)!r}; use another one")
    if tell and n_rows > len(docs):
        tell(f"left out {n_rows - len(docs):,} of {n_rows:,} rows: no text in the column")
    return docs


def _text(value: object, where: str, column: str) -> str:
    """Return a value without surrounding white space; raise DataError if it is not text."""
    text = "" if value is None else value
    if not isinstance(text, str):
        raise DataError(f"{where}: {column!r} is not text; use another column")
    if bad := NOT_TEXT.search(text):
        problem = f"{column} has the character {bad[0]!r}, which is not text"
        raise DataError(f"{where}: {problem}; remove it")
    return text.strip()


def read_table(file: TextFile, how: ReadOptions, tell: Tell | None) -> list[str] | None:
    """Return the texts of a column or field, or strings of JSON; None if a file has plain text.

    Raise DataError if there are several columns or fields to choose from, and none is given.
    """
    if how.column is not None:
        file.kind, file.otherwise = f"text in {printable(how.column)!r}", "--column"
        return load_column(file, how.column, tell=tell)
    path, first = file.path, _first_line(file)
    if not (is_named_table(path) or STRING.fullmatch(first) or first.lstrip()[:1] in "[{"):
        return None
    if not first or how.separator is not None or how.text == "stream":
        return None
    records = read_records(file)
    if records.has_questions:
        raise ConversationsError(f"{path} has questions and answers; read them with --chat")
    if records.columns is None:
        return _read_json(file, records, tell)
    if len(records.columns) == 1:
        if records.has_header:
            file.otherwise = "if this is no column name, rename the file to .txt"
        return _only_column(file, records.columns[0], tell)
    note = " (its first row is no header)"
    if records.has_header:
        note = " (if this row is no header, give the number of the column)"
    raise _several(f"{path} is a table", listed(records.columns) + note)


def _read_json(file: TextFile, records: Records, tell: Tell | None) -> list[str] | None:
    """Return strings, or the only field with text; None if they are neither, but plain text."""
    path, sample = file.path, [*islice(records.values, SAMPLE)]
    if sample and all(isinstance(value, str) for _, value in sample):
        return _strings(file, chain(sample, records.values), records.unit)
    if sample and all(turns_in(value) for _, value in sample):
        raise ConversationsError(f"{path} has conversations; read them with --chat")
    try:
        rows = [row for _, row in _objects(path, records._replace(values=sample))]
    except DataError as error:
        if records.unit == "item":
            problem = "is a JSON array, but not of objects or strings"
            raise DataError(f"{path} {problem}; write one text per line") from error
        if path.suffix.lower() in JSON_SUFFIXES:
            raise
        return None
    names = [*dict.fromkeys(name for row in rows for name in row)]
    texts = [name for name in names if all(isinstance(row.get(name, ""), str) for row in rows)]
    only = "text" if "text" in texts else texts[0] if len(texts) == 1 else None
    if only and all(isinstance(_parse(row.get(only, "")), dict | list) for row in rows):
        remedy = f"take the texts out, for example with: jq -r '.{only} | fromjson | .NAME'"
        raise DataError(f"{path} has JSON inside the strings of {printable(only)!r}; {remedy}")
    if only and (len(rows) > 1 or len(names) == 1):
        file.otherwise = f"--column: one of {listed(names)}" if len(names) > 1 else ""
        return _only_column(file, only, tell)
    if names and not texts:
        problem = "has JSON objects, but no field with text"
        raise DataError(f"{path} {problem} ({listed(names)}); write one text per line")
    if names:
        raise _several(f"{path} has JSON objects", listed(names))
    return None


def _several(problem: str, choices: str) -> DataError:
    remedy = "read one column (--column NAME; column= in Python)"
    return DataError(f"{problem}; {remedy}: {choices}")


def _strings(file: TextFile, values: Iterable[tuple[int, object]], unit: str) -> list[str] | None:
    """Return strings of JSON; None if other lines follow, so that a text has quotation marks."""
    found = [*values]
    if not all(isinstance(value, str) for _, value in found):
        return None
    file.kind = "string of JSON"
    texts = (_text(text, f"{file.path}, {unit} {n}", "the string") for n, text in found)
    docs = [*filter(None, texts)]
    if not docs:
        raise DataError(f"{file.path} has no text; use another file")
    return docs


def _only_column(file: TextFile, column: str, tell: Tell | None) -> list[str]:
    """Return the texts of the only column or field that has text."""
    file.kind = f"text in {printable(column)!r}"
    return load_column(file, column, tell=tell)


def _first_line(lines: Iterable[str]) -> str:
    return next(filter(str.strip, lines), "")


def _is_no_name(field: str) -> bool:
    return not field or len(field) > LONGEST_NAME or bool(NUMBER.fullmatch(field))


def _objects(path: Path, records: Records) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place of each row or JSON object, for error messages, and its fields."""
    for number, value in records.values:
        where = f"{path}, {records.unit} {number}"
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                raise DataError(f"{where}: not a JSON object; write one object per line")
            yield where, one


def _rows(
    path: Path,
    lines: Sequence[str],
    columns: Sequence[str],
    options: dict[str, Any],
    *,
    has_header: bool,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of the last line and the fields of each row of a table."""
    reader = _reader(lines, **options)
    rows = (row for row in reader if "".join(row).strip())
    try:
        if has_header:
            next(rows, None)
        for row in rows:
            if len(row) != len(columns):
                first = "header" if has_header else "first row"
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(row)} fields, but the {first} has "
                    f"{len(columns)}; quote fields that contain a delimiter"
                )
            yield reader.line_num, dict(zip(columns, row, strict=True))
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}; double the quotes inside a field"
        ) from error


def _dialect(lines: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the options of `csv.reader` for a table, and the column names.

    A line such as `sep=;` that names the delimiter is replaced by an empty line.
    """
    named = SEP.fullmatch(lines[0])
    if named:
        lines[0] = ""
    choices = named[1] if named else DELIMITERS
    delimiter = max(choices, key=lambda one: len(_first_row(lines, delimiter=one)))
    options: dict[str, Any] = {"delimiter": delimiter}
    if delimiter == "\t":
        try:
            deque(_reader(lines, **options), maxlen=0)
        except csv.Error:
            options["quoting"] = csv.QUOTE_NONE
    return options, _first_row(lines, **options)


def _first_row(lines: Sequence[str], **options: Any) -> list[str]:
    """Return the fields of the first row that is not blank, or [] if its quotes are invalid."""
    rows = (map(str.strip, row) for row in _reader(lines, **options))
    try:
        return next(filter(any, map(list, rows)), [])
    except csv.Error:
        return []


def _reader(lines: Sequence[str], **options: Any) -> Any:
    csv.field_size_limit(2**31 - 1)  # of all threads; the default is 128 KiB
    return csv.reader((f"{line}\n" for line in lines), strict=True, **options)


def _json_records(lines: Sequence[str]) -> Records:
    """Return the values of a file that is one JSON array or value, or has a value per line."""
    texts = filter(str.strip, lines)
    if not isinstance(_parse(next(texts, "")), Exception) and next(texts, None) is not None:
        return Records((i, _parse(line)) for i, line in enumerate(lines, start=1) if line.strip())
    whole = _parse("\n".join(lines))
    if isinstance(whole, list) and not turns_in(whole):
        return Records(enumerate(whole, start=1), "item")
    return Records(iter([(1, whole)]))


def _parse(text: str) -> object:
    """Return a JSON value, or the error if the text is not JSON."""
    try:
        return json.loads(text.strip())  # also of white space that JSON does not have
    except (ValueError, RecursionError) as error:
        return error


def turns_in(value: Any) -> list[Any] | None:
    """Return the messages of a JSON value in OpenAI's format, or None if it is no conversation."""
    if isinstance(value, dict):
        if pair := question_in(value):
            return messages(pair)
        value = value.get("messages", value.get("conversations"))
    first = value[0] if isinstance(value, list) and value else None
    pairs = {"role", "content"}, {"from", "value"}
    if not (isinstance(first, dict) and any(first.keys() >= pair for pair in pairs)):
        return None
    return [_in_openai_format(turn) if isinstance(turn, dict) else turn for turn in value]


def _in_openai_format(turn: dict[str, Any]) -> dict[str, Any]:
    """Return a message with the name of its role, and with its parts joined if all are text."""
    role = turn.get("role", turn.get("from"))
    name = str(role).lower()
    name = ROLE_NAMES.get(name, name)
    content = turn.get("content", turn.get("value"))
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        texts = [part.get("text") for part in content]
        content = "".join(texts) if all(isinstance(text, str) for text in texts) else content
    known = name in (*ROLES, *IGNORED_ROLES)
    return {**turn, "role": name if known else role, "content": content}


def question_in(row: Mapping[str, Any]) -> list[Any] | None:
    """Return the question and the answer in a row or object, in their order; None without them."""
    fields = {name.lower(): value for name, value in row.items()}
    pair = next((pair for pair in PAIRS if fields.keys() >= {*pair}), None)
    if not pair:
        return None
    question, answer = (fields[name] for name in pair)
    for name in CONTEXTS if pair[0] == "instruction" else ():
        if isinstance(question, str) and isinstance(text := fields.get(name), str) and text.strip():
            question = f"{question}\n\n{text}"
    return [question, answer]


def messages(contents: Iterable[Any]) -> list[dict[str, Any]]:
    """Return a question and its answer, if any, as messages in OpenAI's format."""
    return [{"role": r, "content": each} for r, each in zip(ROLES, contents, strict=False)]


def listed(names: Iterable[str]) -> str:
    """Return the names of columns for an error message."""
    every = [printable(name) for name in names]
    return ", ".join(every[:N_NAMED]) + (", ..." if len(every) > N_NAMED else "")
