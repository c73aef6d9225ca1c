"""Read tables with a header and files of JSON: their records, or the texts of a column or field."""

import csv
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from microgpt.data.text_file import ConversationsError, TextFile
from microgpt.data.tokenizer import ROLES
from microgpt.errors import DataError
from microgpt.formatting import printable
from microgpt.plugins import Tell

SAMPLE = 20  # maximum number of JSON values to examine
TABLE_SUFFIXES = (".csv", ".tsv", ".tab")
DELIMITERS = "\t;|,"  # the one that yields the most columns is used; the first if tied
N_NAMED = 20  # maximum number of column names in an error message
NOT_TEXT = re.compile("[\0\ud800-\udfff]")  # the null character, and lone surrogates
PAIRS = (("prompt", "completion"), ("question", "answer"))  # names of fields, or of columns
SHAREGPT_ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}


class Records(NamedTuple):
    """The rows of a table, the values of a file of JSON, or other conversations."""

    values: Iterable[tuple[int, Any]]  # numbered; an error instead of a value that is not JSON
    unit: str = "line"  # the numbers count lines, or items of a JSON array
    columns: Sequence[str] | None = None  # a table has them; its rows are dictionaries

    @property
    def question_columns(self) -> tuple[str, str] | None:
        """The names of the question and answer columns, if a table has both."""
        names = {name.lower(): name for name in self.columns or ()}
        found = ((names[one], names[other]) for one, other in PAIRS if names.keys() >= {one, other})
        return next(found, None)


def read_records(file: TextFile, what: str = "document") -> Records:
    """Return the records of a table, or of JSON: conversations also in a file named .csv."""
    lines = [*file]
    first = _first_character(lines)
    if not first:
        raise DataError(f"{file.path} is empty; write one {what} per line")
    if first in "[{" and (what == "conversation" or not is_named_table(file.path)):
        return _json_records(lines)
    options, columns = _dialect(lines)
    return Records(_rows(file.path, lines, columns, options), columns=columns)


def is_named_table(path: Path) -> bool:
    """Return whether the name of a file is that of a table."""
    return path.suffix.lower() in TABLE_SUFFIXES


def load_column(file: TextFile, column: str, *, tell: Tell | None = None) -> list[str]:
    """Return the texts in a column of a table with a header, or in a field of JSON objects.

    JSON may be one object per line or an array of objects. Surrounding white space is removed, and
    rows without text are omitted.
    """
    records = read_records(file)
    names = dict.fromkeys(records.columns or ())
    if records.columns is not None and len(names) < 2 and not is_named_table(file.path):
        problem = "has neither a table header nor JSON objects"
        raise DataError(f"{file.path} {problem}; omit --column to read its lines")
    docs, n_rows = list[str](), 0
    for where, row in _objects(file.path, records):
        n_rows += 1
        names.update(dict.fromkeys(row))
        text = "" if row.get(column) is None else row[column]
        if not isinstance(text, str):
            raise DataError(f"{where}: {printable(column)!r} is not text; use another column")
        if bad := NOT_TEXT.search(text):
            problem = f"{printable(column)} has the character {bad[0]!r}, which is not text"
            raise DataError(f"{where}: {problem}; remove it")
        if text.strip():
            docs.append(text.strip())
    if names and column not in names:
        raise DataError(
            f"{file.path} has no column {printable(column)!r}; choose one of: {listed(names)}"
        )
    if not docs:
        raise DataError(f"{file.path} has no text in column {printable(column)!r}; use another one")
    if tell and n_rows > len(docs):
        tell(f"left out {n_rows - len(docs):,} of {n_rows:,} rows: no text in the column")
    return docs


def check_is_text(file: TextFile) -> None:
    """Raise DataError if a file is a table or JSON instead of plain text."""
    path, first = file.path, _first_character(file)
    if not first or not (is_named_table(path) or first in "[{"):
        return
    records, what, note = read_records(file), "is a table", ""
    names: Iterable[str] = records.columns or ()
    if records.question_columns:
        raise ConversationsError(f"{path} has questions and answers; read them with --chat")
    if len(records.columns or ()) == 1:
        note = " (rename the file to .txt if this is not a column name)"
    if records.columns is None:
        sample = [*islice(records.values, SAMPLE)]
        if sample and all(turns_in(value) for _, value in sample):
            raise ConversationsError(f"{path} has conversations; read them with --chat")
        what = "has JSON objects"
        try:
            names = dict.fromkeys(
                name for _, row in _objects(path, records._replace(values=sample)) for name in row
            )
        except DataError as error:
            if records.unit == "item":
                problem = "is a JSON array, but not of objects"
                raise DataError(f"{path} {problem}; write one text per line") from error
    if names:
        raise DataError(
            f"{path} {what}; read one column (--column NAME; column= in Python): "
            f"{listed(names)}{note}"
        )


def _first_character(lines: Iterable[str]) -> str:
    return next(filter(str.strip, lines), "").lstrip()[:1]


def _objects(path: Path, records: Records) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place of each row or JSON object, for error messages, and its fields."""
    for number, value in records.values:
        where = f"{path}, {records.unit} {number}"
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                raise DataError(f"{where}: not a JSON object; write one object per line")
            yield where, one


def _rows(
    path: Path, lines: Sequence[str], columns: Sequence[str], options: dict[str, Any]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of the last line and the fields of each row of a table."""
    reader = _reader(lines, **options)
    rows = (row for row in reader if "".join(row).strip())
    try:
        next(rows, None)  # the header
        for row in rows:
            if len(row) != len(columns):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(row)} fields, but the header has "
                    f"{len(columns)}; quote fields that contain a delimiter"
                )
            yield reader.line_num, dict(zip(columns, row, strict=True))
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


def _json_records(lines: Sequence[str]) -> Records:
    """Return the values of a file that is one JSON array or value, or has a value per line."""
    texts = filter(str.strip, lines)
    if not isinstance(_parse(next(texts, "")), Exception) and next(texts, None) is not None:
        return Records((i, _parse(line)) for i, line in enumerate(lines, start=1) if line.strip())
    whole = _parse("\n".join(lines))
    if isinstance(whole, list) and not turns_in(whole):
        return Records(enumerate(whole, start=1), "item")
    return Records([(1, whole)])


def _parse(text: str) -> object:
    """Return a JSON value, or the error if the text is not JSON."""
    try:
        return json.loads(text.strip())  # also of white space that JSON does not have
    except (ValueError, RecursionError) as error:
        return error


def turns_in(value: Any) -> list[Any] | None:
    """Return the messages of a JSON value in OpenAI's format, or None if it is no conversation."""
    if isinstance(value, dict):
        if pair := next((pair for pair in PAIRS if value.keys() >= {*pair}), None):
            return messages(value[name] for name in pair)
        value = value.get("messages", value.get("conversations"))
    first = value[0] if isinstance(value, list) and value else None
    pairs = {"role", "content"}, {"from", "value"}
    if not (isinstance(first, dict) and any(first.keys() >= pair for pair in pairs)):
        return None
    return [
        {"role": SHAREGPT_ROLES.get(str(turn["from"]), turn["from"]), "content": turn.get("value")}
        if isinstance(turn, dict) and "from" in turn
        else turn
        for turn in value
    ]


def messages(contents: Iterable[Any]) -> list[dict[str, Any]]:
    """Return a question and its answer, if any, as messages in OpenAI's format."""
    return [{"role": r, "content": each} for r, each in zip(ROLES, contents, strict=False)]


def listed(names: Iterable[str]) -> str:
    """Return the names of columns for an error message."""
    every = [printable(name) for name in names]
    return ", ".join(every[:N_NAMED]) + (", ..." if len(every) > N_NAMED else "")
