"""Tables in the page: the columns that Python reads, and the same errors."""

import csv
import io
import random
from typing import Any

import pytest

from microgpt.data.documents import load_text
from microgpt.errors import DataError

N_FILES = 200
CODE = """
import { columnText, rowsOf } from "./table.js";
const answer = ([text, column]) => {
  const rows = rowsOf(text);
  return [rows[0], columnText(rows, column)];
};
"""


def table(rng: random.Random) -> tuple[str, list[str]]:
    """Return a table as text, and the names of its columns."""
    delimiter = rng.choice(",;\t|")
    names = rng.sample(["id", "a b", 'the "name"', "größe", "text"], rng.randint(1, 5))
    cells = ["", " ", "x", "a,b", "a;b", 'say "hi"', "two words", "Ähre", "a|b", "tab\there", "☃"]
    cells.append("two\nlines")
    width, n = len(names), rng.randint(1, 8)
    rows = [[rng.choice(cells) for _ in range(width)] for _ in range(n)]
    rows.append(["x"] * width)  # each column has a text
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerows([names, *rows])
    return out.getvalue().removesuffix("\n"), names


def test_javascript_reads_the_same_table_columns_as_python(node, tmp_path) -> None:
    rng = random.Random(0)
    inputs: list[Any] = []
    expected: list[Any] = []
    file = tmp_path / "table.csv"
    for _ in range(N_FILES):
        text, names = table(rng)
        column = rng.randrange(len(names))
        file.write_text(text, "utf-8")
        inputs.append([text, column])
        try:
            cells = load_text(file, column=names[column])
            expected.append([names, "\n".join(cell.replace("\n", " ") for cell in cells)])
        except DataError:  # cells of a single column may look like several
            expected.append("error")
    found = node(CODE, inputs)
    assert ["error" if "error" in each else each for each in found] == expected
    assert expected.count("error") < N_FILES / 4


def test_quotes_between_tabs_may_be_ordinary_characters(node, tmp_path) -> None:
    text = 'a\tb\n5" x\t"q\n1\t2'
    file = tmp_path / "table.tsv"
    file.write_text(text, "utf-8")
    assert node(CODE, [[text, 1]]) == [[["a", "b"], "\n".join(load_text(file, column="b"))]]


PROBLEMS = {
    "a,b\n1,2\n3": "line 3: 1 fields, but the header has 2; quote fields that contain a delimiter",
    'a,b\n"1,2\n3,4': "line 2: the quotes are invalid; double those inside a field",
    'a,b\n"1"x,2': "line 2: the quotes are invalid; double those inside a field",
    "a,b\n\n": "the table has no row below its header",
    "a,b\n ,1": "the column has no text; use another one",
}


@pytest.mark.parametrize("text", PROBLEMS)
def test_a_damaged_table_is_refused_as_in_python(node, tmp_path, text) -> None:
    assert node(CODE, [[text, 0]]) == [{"error": PROBLEMS[text]}]
    file = tmp_path / "table.csv"
    file.write_text(text, "utf-8")
    with pytest.raises(DataError):
        load_text(file, column="a")
