"""Read tables and JSON files: their records, or the texts in one column or field."""

import csv
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple

from microgpt.data.message_formats import question_in, turns_in
from microgpt.data.text_file import ConversationsError, ReadOptions, TextFile
from microgpt.errors import DataError
from microgpt.formatting import printable
from microgpt.plugins import Tell

N_EXAMINED = 20  # maximum number of JSON values examined to recognise what a file contains
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".psv")
DELIMITERS = "\t;|,"  # the delimiter that gives the most columns is used; if tied, the first one
N_NAMED = 20  # maximum number of column names in an error message
LONGEST_NAME = 60  # a longer field in the first row is not a column name
NOT_TEXT = re.compile("[\0\ud800-\udfff]")  # NUL and lone surrogates, which text must not contain
NUMBER = re.compile(r"[-+]?\d[\d.,:/ -]*%?")  # a number or a date, which is not a column name
SEP = re.compile("sep=(.)", re.IGNORECASE)  # line that names the delimiter, in CSV files for Excel
COMMENT = re.compile(r"#(?:[ #!]|[a-z ]+:|$)|\s*$")  # comment or blank line above a table
STRING = re.compile(r'\s*"(?:[^"\\]|\\.)*"\s*')  # a line that is one JSON string


class Records(NamedTuple):
    """The records of a file: the rows of a table, JSON values, or conversations."""

    values: Iterable[tuple[int, Any]]  # (number, value); the value of invalid JSON is an exception
    unit: str = "line"  # unit of the numbers: "line", "item" (of a JSON array) or "conversation"
    columns: Sequence[str] | None = None  # column names of a table, whose rows are dictionaries
    has_header: bool = True  # whether a table has a header; otherwise, its columns are numbered

    @property
    def has_questions(self) -> bool:
        """Whether a table has a column of questions and one of answers."""
        return question_in(dict.fromkeys(self.columns or ())) is not None


def read_records(file: TextFile, what: str = "document", column: str | None = None) -> Records:
    """Return the records of a table or of JSON; even a .csv file can contain JSON conversations."""
    lines = [*file]
    first = _first_line(lines).lstrip()
    if not first:
        raise DataError(f"{file.path} is empty; write one {what} per line")
    is_json = first[0] in "[{" or STRING.fullmatch(first)
    if is_json and (what == "conversation" or not is_named_table(file.path)):
        return _json_records(lines)
    return _table(file.path, lines, column)


def is_named_table(path: Path) -> bool:
    """Return whether a file has the extension of a table, such as .csv."""
    return path.suffix.lower() in TABLE_SUFFIXES


def listed(names: Iterable[str]) -> str:
    """Return column names for an error message, separated by commas."""
    every = [printable(name) for name in names]
    return ", ".join(every[:N_NAMED]) + (", ..." if len(every) > N_NAMED else "")


def read_table(file: TextFile, how: ReadOptions, tell: Tell | None) -> list[str] | None:
    """Return the texts of a table column or JSON field, or JSON strings; None for plain text.

    JSON can be one object per line or an array of objects. Surrounding white space is removed, and
    rows without text are omitted.

    Raises:
        DataError: the column is ambiguous, a value is not text, or the file has conversations.
    """
    path, first = file.path, _first_line(file)
    if how.column is not None:
        return _texts_in(file, read_records(file, column=how.column), how.column, tell)
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
            file.otherwise = "if this is not a column name, rename the file to .txt"
        return _texts_in(file, records, records.columns[0], tell)
    note = " (its first row is not a header)"
    if records.has_header:
        note = " (if this row is not a header, give the number of the column)"
    raise _several(f"{path} is a table", listed(records.columns) + note)


def _read_json(file: TextFile, records: Records, tell: Tell | None) -> list[str] | None:
    """Return JSON strings, or the values of the only text field; None if the file is plain text."""
    path, values = file.path, iter(records.values)
    sample = [*islice(values, N_EXAMINED)]
    records = records._replace(values=chain(sample, values))
    if sample and all(isinstance(value, str) for _, value in sample):
        return _strings(file, records, tell)
    if sample and all(turns_in(value) for _, value in sample):
        raise ConversationsError(f"{path} has conversations; use --chat or a chat model")
    try:
        rows = [row for _, row in _objects(path, records._replace(values=sample))]
    except DataError:
        if records.unit == "item" or path.suffix.lower() in JSON_SUFFIXES:
            raise
        return None
    names = [*dict.fromkeys(name for row in rows for name in row)]
    texts = [name for name in names if all(isinstance(row.get(name, ""), str) for row in rows)]
    is_nested = any(isinstance(value, dict | list) for row in rows for value in row.values())
    if len(rows) == 1 and texts == names and len(names) > N_EXAMINED:  # such as a translation file
        return _strings(file, Records(enumerate(rows[0].values(), 1), "value"), tell)
    only = "text" if "text" in texts else texts[0] if len(texts) == 1 and not is_nested else None
    if only and (len(rows) > 1 or len(names) == 1):
        file.otherwise = f"--column: one of {listed(names)}" if len(names) > 1 else ""
        return _texts_in(file, records, only, tell)
    inner = f"extract the texts called NAME with: jq '[.. | .NAME? | strings]' {path} > NEW.json"
    if names and (not texts or (is_nested and min(len(rows), len(texts)) == 1)):
        problem = f"has no field with the texts of its JSON objects ({listed(names)})"
        raise DataError(f"{path} {problem}; {inner}")
    if names:
        raise _several(f"{path} has JSON objects", listed(names) + f", or {inner}" * is_nested)
    return None


def _several(problem: str, choices: str) -> DataError:
    remedy = "read one column (--column NAME; column= in Python)"
    return DataError(f"{problem}; {remedy}: {choices}")


def _strings(file: TextFile, records: Records, tell: Tell | None) -> list[str] | None:
    """Return JSON strings; None if a value is not a string, as the file is then plain text."""
    strings = [*records.values]
    if not all(isinstance(value, str) for _, value in strings):
        return None
    file.kind = "string of JSON"
    return _texts(((f"{file.path}, {records.unit} {n}", text) for n, text in strings), "", tell)


def _texts_in(file: TextFile, records: Records, column: str, tell: Tell | None) -> list[str]:
    """Return the texts in a column of a table, or in a field of JSON objects."""
    names, shown = dict.fromkeys(records.columns or ()), printable(column)
    if records.columns is not None and len(names) < 2 and not is_named_table(file.path):
        problem = "has neither a table header nor JSON objects"
        raise DataError(f"{file.path} {problem}; omit --column to read its lines")

    def cells() -> Iterator[tuple[str, object]]:
        for where, row in _objects(file.path, records):
            names.update(dict.fromkeys(row))
            yield where, row.get(column)

    docs = _texts(cells(), shown, tell)
    if names and column not in names:
        raise DataError(f"{file.path} has no column {shown!r}; choose one of: {listed(names)}")
    if not docs:
        raise DataError(f"{file.path} has no text in column {shown!r}; use another one")
    file.kind = f"text in {shown!r}"
    return docs


def _texts(cells: Iterable[tuple[str, object]], column: str, tell: Tell | None) -> list[str]:
    """Return the non-empty cells, given (location, cell) pairs; errors name the location."""
    texts = []
    for where, cell in cells:
        text = "" if cell is None else cell
        if not isinstance(text, str):
            raise DataError(f"{where}: {column!r} is not text; use another column")
        if bad := NOT_TEXT.search(text):
            problem = f"{column} has the character {bad[0]!r}, which is not text".lstrip()
            raise DataError(f"{where}: {problem}; remove it")
        texts.append(text.strip())
    docs = [*filter(None, texts)]
    if tell and 0 < len(docs) < len(texts):
        tell(f"left out {len(texts) - len(docs):,} of {len(texts):,} rows: no text in the column")
    return docs


def _objects(path: Path, records: Records) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the location, for error messages, and the fields of each row or JSON object."""
    for number, value in records.values:
        where = f"{path}, {records.unit} {number}"
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                problem = f"not JSON: {one}" if isinstance(one, Exception) else "not a JSON object"
                raise DataError(f"{where}: {problem}; write one object or text per line")
            yield where, one


def _table(path: Path, lines: list[str], column: str | None) -> Records:
    """Return the rows of a table.

    The first row is a header unless one of its fields cannot be a column name, or `column` is a
    number that no field of the row contains.
    """
    n_comments = sum(1 for _ in takewhile(COMMENT.match, lines))
    lines[:n_comments] = [""] * n_comments  # blank lines keep the line numbers correct
    options, columns = _dialect(lines)
    is_number = column is not None and column.isdecimal()
    names = columns if all(columns[:1]) else columns[1:]  # without an unnamed index column
    is_unnamed = any(not one or len(one) > LONGEST_NAME or NUMBER.fullmatch(one) for one in names)
    has_header = column in columns or not (is_number or is_unnamed)
    if not has_header:
        columns = [str(n) for n in range(1, 1 + len(columns))]
    rows = islice(_rows(path, _reader(lines, **options), columns), has_header, None)
    return Records(rows, columns=columns, has_header=has_header)


def _rows(path: Path, reader: Any, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of the last line and the fields of each table row that contains text."""
    try:
        for row in reader:
            fields = [*map(str.strip, row)]
            if any(fields) and len(fields) != len(columns):
                problem = f"{len(fields)} fields, but the first row has {len(columns)}"
                remedy = "quote fields that contain a delimiter"
                raise DataError(f"{path}, line {reader.line_num}: {problem}; {remedy}")
            if any(fields):
                yield reader.line_num, dict(zip(columns, fields, strict=True))
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}; double the quotes inside a field"
        ) from error


def _dialect(lines: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the options of `csv.reader` for a table, and the fields of its first row.

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
    csv.field_size_limit(2**31 - 1)  # allows long fields; the default limit is 128 KiB
    return csv.reader((f"{line}\n" for line in lines), strict=True, **options)


def _first_line(lines: Iterable[str]) -> str:
    return next(filter(str.strip, lines), "")


def _json_records(lines: Sequence[str]) -> Records:
    """Return the items of a JSON array, a single JSON value, or the JSON value of each line."""
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
        return json.loads(text.strip())  # strips white space that JSON does not allow
    except (ValueError, RecursionError) as error:
        return ValueError(re.sub(r"( at)?: line 1 column", " at column", str(error)))
