"""Read one column of a table or one field of JSON objects; detect such files."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from microgpt.data.text_file import TextFile
from microgpt.errors import DataError
from microgpt.printable import printable

TABLE_SUFFIXES = (".csv", ".tsv", ".tab")
DELIMITERS = "\t;|,"  # the delimiter that gives the most columns is used; the first one in a tie
SAMPLE = 20  # number of lines or elements that must be JSON objects
N_NAMED = 20  # maximum number of column names in an error message

_Rows = Iterator[tuple[int, dict[str, object]]]


def load_column(
    path: str | Path | TextFile, column: str, *, tell: Callable[[str], None] | None = None
) -> list[str]:
    """Return the texts of a column of a table with a header, or of a field of JSON objects.

    JSON may be one object per line or an array of objects. Surrounding white space is removed, and
    rows without a text are omitted.

    Args:
        tell: called with a message for the user if rows were omitted.

    Raises:
        DataError: the file is neither a table nor JSON, or the column is missing or has no text.
    """
    file = path if isinstance(path, TextFile) else TextFile(path)
    lines = list(file)
    first = next(filter(str.strip, lines), "").lstrip()
    is_table = file.path.suffix.lower() in TABLE_SUFFIXES or first[:1] not in ("{", "[")
    rows = (_table_rows if is_table else _json_rows)(file.path, lines)
    names: dict[str, None] = {}
    docs: list[str] = []
    n_rows = 0
    for number, row in rows:
        n_rows += 1
        names.update(dict.fromkeys(row))
        value = row.get(column)
        if not isinstance(value, str | None):
            where = f"{file.path}, line {number}"
            raise DataError(f"{where}: {printable(column)} is not a text; use another column")
        if value and value.strip():
            docs.append(value.strip())
    if names and column not in names:
        raise DataError(
            f"{file.path} has no column {printable(column)!r}; choose one of: {_listed(names)}"
        )
    if not docs:
        raise DataError(f"{file.path} has no text in column {printable(column)!r}; use another")
    if tell and n_rows > len(docs):
        tell(f"left out {n_rows - len(docs):,} of {n_rows:,} rows without a text in the column")
    return docs


def check_is_text(path: Path, docs: Sequence[str]) -> None:
    """Raise DataError if documents are the rows of a table or JSON objects."""
    if path.suffix.lower() in TABLE_SUFFIXES and len(names := _header(docs[0])) > 1:
        what = f"{path} is a table"
    elif objects := _first_objects(docs):
        if any(map(_is_conversation, objects)):
            raise DataError(f"{path} has conversations; train on them with --chat")
        names = list(dict.fromkeys(name for one in objects for name in one))
        what = f"{path} has JSON objects"
    else:
        return
    raise DataError(
        f"{what}; read one column with --column NAME (train, eval, info and generate): "
        f"{_listed(names)}"
    )


def _header(line: str) -> list[str]:
    """Split a line into fields by the delimiter that gives the most fields."""
    return max((_fields(line, delimiter) for delimiter in DELIMITERS), key=len)


def _fields(line: str, delimiter: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]


def _table_rows(path: Path, lines: Sequence[str]) -> _Rows:
    """Yield the fields of each row, with the number of the last line of the row."""
    first = next(filter(str.strip, lines), "")
    names = _header(first)
    if len(names) < 2 and path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(
            f"{path} is not a table with a header or JSON objects; omit --column to read its lines"
        )
    delimiter = max(DELIMITERS, key=lambda one: len(_fields(first, one)))
    csv.field_size_limit(2**31 - 1)  # a field may be a whole book
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if reader.line_num == 1 + lines.index(first) or not "".join(row).strip():
                continue
            if len(row) != len(names):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(row)} fields, but the header has "
                    f"{len(names)}; put a field with a delimiter in quotes"
                )
            yield reader.line_num, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}; double the quotes inside a field"
        ) from error


def _json_rows(path: Path, lines: Sequence[str]) -> _Rows:
    """Yield the number and the parsed value of each line or array element."""
    values: Iterable[tuple[int, object]]
    values = ((i, _parse(line)) for i, line in enumerate(lines, start=1) if line.strip())
    array = _parse("\n".join(lines)) if lines[0].lstrip().startswith("[") else None
    if isinstance(array, list):
        values = enumerate(array, start=1)
    for number, value in values:
        if not isinstance(value, dict):
            raise DataError(f"{path}, line {number}: not a JSON object; write one object per line")
        yield number, value


def _parse(text: str) -> object:
    """Return a JSON value, or None if the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _first_objects(docs: Sequence[str]) -> list[dict[str, object]]:
    """Return the first JSON objects of a file, or [] if the file has other content."""
    if docs[0][0] not in "[{":
        return []
    values = [_parse(doc) for doc in docs[:SAMPLE]]
    if docs[0][0] == "[" and not all(isinstance(value, list) and value for value in values):
        array = _parse("\n".join(docs))
        values = array[:SAMPLE] if isinstance(array, list) else []
    first = [value[0] if isinstance(value, list) and value else value for value in values]
    objects = [value for value in first if isinstance(value, dict)]
    return objects if len(objects) == len(first) else []


def _is_conversation(value: dict[str, object]) -> bool:
    return bool({"messages", "conversations", "role"} & value.keys()) or (
        {"prompt", "completion"} <= value.keys()
    )


def _listed(names: Iterable[str]) -> str:
    every = [printable(name) for name in names]
    return ", ".join(every[:N_NAMED]) + (", ..." if len(every) > N_NAMED else "")
