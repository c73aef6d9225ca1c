"""Read tables with a header and files of JSON: a column, a field, or their rows and values."""

import csv
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from microgpt.compilation import Tell
from microgpt.data.text_file import ConversationsError, TextFile
from microgpt.errors import DataError
from microgpt.printable_text import printable

SAMPLE = 20  # maximum number of JSON values to examine
TABLE_SUFFIXES = (".csv", ".tsv", ".tab")
DELIMITERS = "\t;|,"  # the one that yields the most columns is used; the first if tied
N_NAMED = 20  # maximum number of column names in an error message
NOT_TEXT = re.compile("[\0\ud800-\udfff]")  # the null character, and lone surrogates
PAIRS = (("prompt", "completion"), ("question", "answer"))  # names of fields, or of columns


def load_column(file: TextFile, column: str, *, tell: Tell | None = None) -> list[str]:
    """Return the texts in a column of a table with a header, or in a field of JSON objects.

    JSON may be one object per line or an array of objects. Surrounding white space is removed, and
    rows without text are omitted.

    Args:
        tell: called with a message for the user if rows were omitted.

    Raises:
        DataError: the file is neither a table nor JSON, or the column is missing or has no text.
    """
    names: dict[str, None] = {}
    docs: list[str] = []
    n_rows = 0
    for where, row in _rows(file):
        n_rows += 1
        names.update(dict.fromkeys(row))
        value = row.get(column)
        if not isinstance(value, str | None):
            raise DataError(f"{where}: {printable(column)!r} is not text; use another column")
        if value and (bad := NOT_TEXT.search(value)):
            problem = f"{printable(column)} has the character {bad[0]!r}"
            raise DataError(f"{where}: {problem}, which is not text; remove it")
        if value and value.strip():
            docs.append(value.strip())
    if names and column not in names:
        raise DataError(
            f"{file.path} has no column {printable(column)!r}; choose one of: {listed(names)}"
        )
    if not docs:
        raise DataError(f"{file.path} has no text in column {printable(column)!r}; use another one")
    if tell and n_rows > len(docs):
        tell(f"left out {n_rows - len(docs):,} of {n_rows:,} rows: no text in the column")
    return docs


def _rows(file: TextFile) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the location, for error messages, and the fields of each row or JSON object."""
    path, lines = file.path, [*file]
    first = next(filter(str.strip, lines), "").lstrip()
    if not first:
        raise DataError(f"{path} is empty; write one document per line")
    if path.suffix.lower() in TABLE_SUFFIXES or first[0] not in "{[":
        for number, row in table_rows(path, lines):
            yield f"{path}, line {number}", {**row}
        return
    unit, values = json_values(lines)
    for number, value in values:
        for one in value if isinstance(value, list) else [value]:
            where = f"{path}, {unit} {number}"
            if not isinstance(one, dict):
                raise DataError(f"{where}: not a JSON object; write one object per line")
            yield where, one


def check_is_text(file: TextFile) -> None:
    """Raise DataError if a file is a table or JSON instead of plain text."""
    path, is_table = file.path, file.path.suffix.lower() in TABLE_SUFFIXES
    first = next(filter(str.strip, file), "").lstrip()
    if not first or not (is_table or first[0] in "[{"):
        return
    lines = [doc for line in file if (doc := line.strip())]
    names: Iterable[str] = ()
    what, note = "has JSON objects", ""
    if is_table:
        what, names = "is a table", header(lines)
        if columns_of_questions(names):
            raise ConversationsError(f"{path} has questions and answers; read them with --chat")
        if len(names) == 1:
            note = " (rename the file to .txt if this is not a column name)"
    else:
        unit, numbered = json_values(lines)
        values = [value for _, value in islice(numbered, SAMPLE)]
        if values and all(map(is_conversation, values)):
            raise ConversationsError(f"{path} has conversations; read them with --chat")
        elements = [one for each in values for one in (each if isinstance(each, list) else [each])]
        objects = [one for one in elements if isinstance(one, dict)]
        if len(objects) == len(elements):
            names = dict.fromkeys(name for one in objects for name in one)
        elif unit == "item":
            raise DataError(f"{path} is a JSON array, but not of objects; write one text per line")
    if names:
        raise DataError(
            f"{path} {what}; read one column (--column NAME; column= in Python): "
            f"{listed(names)}{note}"
        )


def header(lines: Sequence[str]) -> list[str]:
    """Return the column names of a table."""
    return _dialect(lines)[1]


def columns_of_questions(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the names of the question and answer columns, if the table has both."""
    known = {name.lower(): name for name in names}
    found = ((known[one], known[other]) for one, other in PAIRS if known.keys() >= {one, other})
    return next(found, None)


def table_rows(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of the last line and the fields of each row.

    Raises:
        DataError: the file is no table, or a row is invalid.
    """
    options, names = _dialect(lines)
    if len(names) < 2 and path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(
            f"{path} has neither a table header nor JSON objects; omit --column to read its lines"
        )
    reader = _reader(lines, **options)
    rows = (row for row in reader if "".join(row).strip())
    try:
        next(rows, None)  # the header
        for row in rows:
            if len(row) != len(names):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(row)} fields, but the header has "
                    f"{len(names)}; quote fields that contain a delimiter"
                )
            yield reader.line_num, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}; double the quotes inside a field"
        ) from error


def _dialect(lines: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the options of `csv.reader` for a table, and the column names."""
    delimiter = max(DELIMITERS, key=lambda one: len(_first_row(lines, delimiter=one)))
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


def json_values(lines: Sequence[str]) -> tuple[str, Iterable[tuple[int, object]]]:
    """Return the unit of a JSON file and its values, numbered from 1.

    A file is one JSON array, whose unit is "item", one other value, or has a value per line, whose
    unit is "line". Instead of a value that is not JSON, its error is returned.
    """
    texts = filter(str.strip, lines)
    if not isinstance(_parse(next(texts, "")), Exception) and next(texts, None) is not None:
        return "line", ((i, _parse(line)) for i, line in enumerate(lines, start=1) if line.strip())
    whole = _parse("\n".join(lines))
    if isinstance(whole, list) and not is_conversation(whole):
        return "item", enumerate(whole, start=1)
    return "line", [(1, whole)]


def _parse(text: str) -> object:
    """Return a JSON value, or the error if the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return error


def is_conversation(value: object) -> bool:
    """Return whether a JSON value has the fields of a conversation."""
    if isinstance(value, dict):
        if any(value.keys() >= {*pair} for pair in PAIRS):
            return True
        value = value.get("messages", value.get("conversations"))
    pairs = ({"role", "content"}, {"from", "value"})
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and any(p <= one.keys() for p in pairs) for one in value)
    )


def listed(names: Iterable[str]) -> str:
    """Return the names of columns for an error message."""
    every = [printable(name) for name in names]
    return ", ".join(every[:N_NAMED]) + (", ..." if len(every) > N_NAMED else "")
