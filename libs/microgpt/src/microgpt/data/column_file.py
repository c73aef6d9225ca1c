"""Read one column of a table or one field of JSON objects; detect such files."""

import csv
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from microgpt.compilation import Tell
from microgpt.data.read_options import ReadOptions
from microgpt.data.text_file import ConversationsError, TextFile
from microgpt.data.tokenizer import ROLES, Conversation, Message
from microgpt.errors import DataError
from microgpt.printable_text import printable

TABLE_SUFFIXES = (".csv", ".tsv", ".tab")
DELIMITERS = "\t;|,"  # the one that yields the most columns is used; the first if tied
SAMPLE = 20  # maximum number of JSON values to examine
N_NAMED = 20  # maximum number of column names in an error message

PAIRS = (("prompt", "completion"), ("question", "answer"))  # names of fields, or of columns

_Rows = Iterator[tuple[str, dict[str, object]]]  # (location for error messages, fields by name)


def read(
    file: TextFile, how: ReadOptions, tell: Tell | None
) -> list[str] | list[Conversation] | None:
    """Return the texts of a column, or the questions and answers of a table; None for text.

    Raises:
        DataError: the file is a table or JSON objects, and `how` does not name a column.
    """
    if how.column is not None:
        return load_column(file, how.column, tell=tell)
    if how.separator is not None or how.text == "stream":
        return None
    first = next(filter(str.strip, file), "").lstrip()
    is_json = first[:1] in ("[", "{")
    if how.chat and first and not is_json:
        return _questions_and_answers(file.path, [*file])
    if not how.chat and (is_json or (first and file.path.suffix.lower() in TABLE_SUFFIXES)):
        _check_is_text(file.path, [doc for line in file if (doc := line.strip())])
    return None


def load_column(file: TextFile, column: str, *, tell: Tell | None = None) -> list[str]:
    """Return the texts in a column of a table with a header, or in a field of JSON objects.

    JSON may be one object per line or an array of objects. Surrounding white space is removed, and
    rows without text are omitted.

    Args:
        tell: called with a message for the user if rows were omitted.

    Raises:
        DataError: the file is neither a table nor JSON, or the column is missing or has no text.
    """
    lines = list(file)
    first = next(filter(str.strip, lines), "").lstrip()
    if not first:
        raise DataError(f"{file.path} is empty; write one document per line")
    is_table = file.path.suffix.lower() in TABLE_SUFFIXES or first[0] not in "{["
    rows = (_table_rows if is_table else _json_rows)(file.path, lines)
    names: dict[str, None] = {}
    docs: list[str] = []
    n_rows = 0
    for where, row in rows:
        n_rows += 1
        names.update(dict.fromkeys(row))
        value = row.get(column)
        if not isinstance(value, str | None):
            raise DataError(f"{where}: {printable(column)!r} is not text; use another column")
        if value and (bad := re.search("[\0\ud800-\udfff]", value)):
            problem = f"{printable(column)} has the character {bad[0]!r}"
            raise DataError(f"{where}: {problem}, which is not text; remove it")
        if value and value.strip():
            docs.append(value.strip())
    if names and column not in names:
        raise DataError(
            f"{file.path} has no column {printable(column)!r}; choose one of: {_listed(names)}"
        )
    if not docs:
        raise DataError(f"{file.path} has no text in column {printable(column)!r}; use another one")
    if tell and n_rows > len(docs):
        tell(f"left out {n_rows - len(docs):,} of {n_rows:,} rows: no text in the column")
    return docs


def _questions_and_answers(path: Path, lines: Sequence[str]) -> list[Conversation] | None:
    """Return the questions and answers in a table with these columns; None for other texts.

    Empty rows are omitted. A question without an answer, or the reverse, is a user message.

    Raises:
        DataError: the file is a table with other columns.
    """
    names = _dialect(lines)[1]
    columns = _columns_of_questions(names)
    if columns is None:
        if path.suffix.lower() in TABLE_SUFFIXES and len(names) > 1:
            found = _listed(names)
            raise DataError(f"{path} has the columns {found}; name two of them question and answer")
        return None
    rows = [row for _, row in _table_rows(path, lines)]
    pairs = [[text for name in columns if (text := str(row[name]).strip())] for row in rows]
    return [
        tuple(Message(role, text) for role, text in zip(ROLES, pair, strict=False))
        for pair in pairs
        if pair
    ]


def _columns_of_questions(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the names of the question and answer columns, if the table has both."""
    known = {name.lower(): name for name in names}
    found = ((known[one], known[other]) for one, other in PAIRS if known.keys() >= {one, other})
    return next(found, None)


def _check_is_text(path: Path, docs: Sequence[str]) -> None:
    """Raise DataError if the lines of a file are a table or JSON instead of plain text."""
    names: Iterable[str] = ()
    what, note = "has JSON objects", ""
    if path.suffix.lower() in TABLE_SUFFIXES:
        what, names = "is a table", _dialect(docs)[1]
        if _columns_of_questions(names):
            raise ConversationsError(f"{path} has questions and answers; read them with --chat")
        if len(names) == 1:
            note = " (rename the file to .txt if this is not a column name)"
    else:
        unit, numbered = _json_values(docs)
        values = [value for _, value in islice(numbered, SAMPLE)]
        if values and all(map(is_conversation, values)):
            raise ConversationsError(f"{path} has conversations; read them with --chat")
        elements = [one for value in values for one in _elements(value)]
        objects = [one for one in elements if isinstance(one, dict)]
        if len(objects) == len(elements):
            names = dict.fromkeys(name for one in objects for name in one)
        elif unit == "item":
            raise DataError(f"{path} is a JSON array, but not of objects; write one text per line")
    if names:
        raise DataError(
            f"{path} {what}; read one column (--column NAME; column= in Python): "
            f"{_listed(names)}{note}"
        )


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


def _table_rows(path: Path, lines: Sequence[str]) -> _Rows:
    """Yield the location (last line) and the fields of each row."""
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
            where = f"{path}, line {reader.line_num}"
            if len(row) != len(names):
                raise DataError(
                    f"{where}: {len(row)} fields, but the header has {len(names)}; quote fields "
                    "that contain a delimiter"
                )
            yield where, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}; double the quotes inside a field"
        ) from error


def _json_rows(path: Path, lines: Sequence[str]) -> _Rows:
    """Yield the location and the fields of each object."""
    unit, values = _json_values(lines)
    for number, value in values:
        where = f"{path}, {unit} {number}"
        for one in _elements(value):
            if not isinstance(one, dict):
                raise DataError(f"{where}: not a JSON object; write one object per line")
            yield where, one


def _json_values(lines: Sequence[str]) -> tuple[str, Iterator[tuple[int, object]]]:
    """Return the unit ("item" for a JSON array, otherwise "line") and the numbered values.

    Numbers start at 1. A line that is not JSON has the value None.
    """
    if found := whole_value(lines, json.loads):  # json reads lone surrogates, too
        unit, values = found
        return unit, enumerate(values, start=1)
    return "line", ((i, _parse(line)) for i, line in enumerate(lines, start=1) if line.strip())


def whole_value(
    lines: Sequence[str], parse: Callable[[str], Any] = from_json
) -> tuple[str, list[object]] | None:
    """Return the unit and the values of a file that is one JSON value, or None for JSON Lines."""
    texts = filter(str.strip, lines)
    if _parse(next(texts, "")) is not None and next(texts, None) is not None:
        return None
    try:
        whole = parse("\n".join(lines))
    except (ValueError, RecursionError):
        return None
    is_array = isinstance(whole, list) and not is_conversation(whole)
    return ("item", whole) if is_array else ("line", [whole])


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


def _elements(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _parse(text: str) -> object:
    """Return a JSON value, or None if the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _listed(names: Iterable[str]) -> str:
    every = [printable(name) for name in names]
    return ", ".join(every[:N_NAMED]) + (", ..." if len(every) > N_NAMED else "")
