import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import load_text
from microgpt.data.documents import load_conversations, load_documents
from microgpt.data.text_file import ReadOptions, TextFile
from microgpt.errors import DataError

TALK = {"messages": [{"role": "user", "content": "hi"}]}
ROLES = '{"name": "Anna", "role": "cook"}\n'
LONG = "x" * 140_000  # longer than csv's default limit of 131,072 characters
OBJECTS = [{"id": 1, "text": "Anna\nMia"}, {"id": 2, "text": " Emma "}]
LINES = "".join(f"{json.dumps(each)}\n" for each in OBJECTS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", '\ufeffid,text\n1,"Anna\nMia"\n\n2, Emma \n'),
        ("a.CSV", 'text;"id, or number"\n"Anna\nMia";1\n"Emma";2\n'),
        ("a.tsv", 'id\ttext\n1\t"Anna\r\nMia"\n2\tEmma'),
        ("a.txt", 'id|text\n1|"Anna\nMia"\n2|Emma'),
        ("a.csv", 'text\n"Anna\nMia"\nEmma\n'),
        ("a.jsonl", LINES),
        ("a.json", json.dumps(OBJECTS, indent=1)),
        ("a.json", json.dumps([OBJECTS, []])),
        ("a.jsonl", "".join(f"{json.dumps([each])}\n" for each in OBJECTS)),
        ("a.csv", 'text,"the\nnumber"\n"Anna\nMia",1\nEmma,2\n'),
        ("a.tsv", '#separator:tab\n#html:false\nid\ttext\n1\t"Anna\nMia"\n2\tEmma'),
        ("a.csv", 'sep=;\r\ntext;"a,b,c"\r\n"Anna\nMia";1\r\nEmma;2\r\n'),
    ],
)
def test_a_column_of_a_table_or_of_json_objects_can_be_read(write, name: str, content: str) -> None:
    assert load_text(write(content, name), column="text") == ["Anna\nMia", "Emma"]


def test_stray_quotation_marks_in_a_tab_separated_file_are_text(write) -> None:
    path = write('"name," so\ttext\nA\t"Hello," she said\nB\t"yes\n', "a.tsv")
    assert load_text(path, column="text") == ['"Hello," she said', '"yes']


def test_long_fields_can_be_read_without_changing_the_csv_limit(write) -> None:
    limit = csv.field_size_limit()
    assert load_text(write(f"{LONG},text\n1,{LONG}\n", "a.csv"), column="text") == [LONG]
    with pytest.raises(DataError, match="has neither a table"):
        load_text(write(f"{LONG}\n"), column="text")
    assert csv.field_size_limit() == limit


def test_rows_without_text_are_skipped_with_a_note(write) -> None:
    more = '{"id": 3}\n{"id": 4, "text": null}\n{"id": 5, "text": " "}\n'
    path = write(LINES + more, "a.jsonl")
    told: list[str] = []
    assert len(load_text(path, column="text", tell=told.append)) == 2
    assert told == ["left out 3 of 5 rows: no text in the column"]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", "id,name\n1,Anna", "has no column 'text'; choose one of: id, name"),
        ("a.csv", "id,text\n1,\n2, \n", "has no text in column 'text'; use another"),
        ("a.csv", "id,text\n1,Anna, Mia\n", "line 2: 3 fields, but the first row has 2; quote"),
        ("a.csv", 'id,text\n1,"Anna\n2,Mia\n', "line 3: unexpected end of data; double the quotes"),
        ("a.jsonl", '{"text": "Anna"}\n{"text": 3}\n', "line 2: 'text' is not text; use another"),
        ("a.jsonl", '{"text": "Anna"}\n{"text"\n', "line 2: not JSON: .* at column 8 .*; write"),
        ("a.txt", "Anna\nMia\n", "has neither a table header nor JSON objects; omit --column"),
        ("a.txt", "\n", "is empty; write one document per line"),
        ("a.json", '["a"]', "a.json, item 1: not a JSON object; write one object or"),
        ("a.jsonl", '\n\n{"text": "a\\u0000"}\n{}\n', r"line 3: text has the character '\\x00'"),
        ("a.json", '[{"text": "\\ud800"}]', r"item 1: text has the character '\\ud800'"),
    ],
)
def test_an_unreadable_column_is_refused(write, name, content, problem) -> None:
    with pytest.raises(DataError, match=problem):
        load_text(write(content, name), column="text")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", "id,text\n1,Anna\n", r"is a table; read one column \(--column NAME; .*: id, t"),
        ("a.csv", "1,Anna\n2,Mia\n", r"is a table; .*: 1, 2 \(its first row is not a header\)"),
        ("a.csv", "Bonn,DE\nLinz,AT\n", r"is a table; .*: Bonn, DE \(if .* number of the column"),
        ("a.json", '{"rows": []}', r"no field with the texts of its JSON objects \(rows\); .*jq '"),
        ("a.json", '{"to": "x", "in": [{"text": "y"}]}', r"\(to, in\); .* jq .* .*a.json > NEW"),
        ("a.jsonl", '{"id": "x", "in": ["y"]}\n' * 2, r"no field with the texts .* \(id, in\)"),
        ("a.txt", '["anna", 3]', "item 1: not a JSON object; write one object or text per"),
        ("a.csv", '"to\nwn",age\nBerlin,3\n', r"is a table; .*: to\\nwn, age"),
        ("a.csv", "Answer;Question\n7;When?\n", "has questions and answers; read them with --ch"),
        ("a.txt", json.dumps(TALK), "has conversations; use --chat or a chat model"),
        ("a.txt", json.dumps([TALK], indent=1), "has conversations; use --chat or a chat model"),
        ("a.txt", json.dumps(TALK) + f"\n{ROLES}", "has JSON objects; .*: messages, name, role"),
        ("a.txt", json.dumps(OBJECTS[0], indent=2), "has JSON objects; .*: id, text"),
        ("a.csv", "# by x 1.0\n##\n\n#id,town\n1,Rome\n", "is a table; .*: #id, town"),
        ("a.json", '{"a": "x",\n "b": "y', "line 1: not JSON: .* line 2 column 7 .*; write"),
        ("a.json", '[{"a": "x"},\n{"b', "line 1: not JSON: .* line 2 column 2 "),
    ],
)
def test_tables_json_and_conversations_are_not_read_as_text(write, name, content, problem) -> None:
    with pytest.raises(DataError, match=problem):
        load_text(write(content, name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "Paris, France\nRome, Italy\n"),
        ("a.txt", "Anna\tMia\nEmma\tZoe\n"),
        ("a.txt", '{"a": 1}\n[chorus]\n'),
        ("a.txt", "{\n}\n"),
        ("a.txt", "[]\n[1, 2]\n"),
        ("a.txt", "[" * 100_000),
    ],
)
def test_text_is_not_mistaken_for_a_table_or_json(write, name: str, content: str) -> None:
    assert load_text(write(content, name)) == content.strip("\n").split("\n")


def test_only_a_table_of_questions_is_read_as_conversations(tmp_path) -> None:
    path = tmp_path / "faq.csv"
    path.write_text('Answer;id;Question\n7 to 18;1;When?\n;2;Why?\n"a; b";3;"Who, say?"\n')
    talks = load_conversations(path)
    assert [[turn.content for turn in talk] for talk in talks] == [
        ["When?", "7 to 18"], ["Who, say?", "a; b"]
    ]  # fmt: skip
    path.write_text("name;id\nanna;1\n")
    with pytest.raises(DataError, match="the columns name, id; name two of them question"):
        load_conversations(path)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", 'town\nAnna\n"Emma"\n', "text in 'town'"),
        ("a.csv", "1\nAnna\nEmma\n", "text in '1'"),
        ("a.jsonl", '{"id": 1, "text": "Anna"}\n{"id": 2, "text": "Emma"}\n', "text in 'text'"),
        ("a.jsonl", '{"by": "x", "text": "Anna"}\n{"text": "Emma"}\n', "text in 'text'"),
        ("a.jsonl", '\x1e{"a": "Anna"}\n\u00a0{"a": "Emma"}\u00a0\n', "text in 'a'"),
        ("a.txt", '"Anna"\n\n"Emma"\n', "string of JSON"),
        ("a.json", '["Anna",\n "Emma"]', "string of JSON"),
        (
            "a.json",
            json.dumps({**dict(enumerate("x" * 20)), 20: "Anna", 21: "Emma"}),
            "string of JSON",
        ),
    ],
)
def test_the_only_texts_of_a_table_or_json_are_read_by_default(write, name, content, kind) -> None:
    file = TextFile(write(content, name))
    assert [*load_documents(file, ReadOptions())][-2:] == ["Anna", "Emma"]
    assert file.kind == kind


def test_columns_are_selected_by_number_or_by_the_first_row(write) -> None:
    path = write("Anna,DE\nEmma,AT\n", "a.csv")
    assert load_text(path, column="1") == ["Anna", "Emma"]
    assert load_text(path, column="Anna") == ["Emma"]


@pytest.mark.parametrize("last", ["she said.", "3", '"a" and "b"'])
def test_lines_in_quotation_marks_are_not_mistaken_for_json(write, last) -> None:
    lines = [*['"To be or not"'] * 30, last]
    assert load_text(write("\n".join(lines))) == lines


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0")).map(str.strip).filter(bool)


@given(st.lists(texts, min_size=1), st.booleans())
def test_json_strings_in_an_array_or_on_lines_can_be_read(tmp_path_factory, docs, is_array) -> None:
    path = tmp_path_factory.getbasetemp() / "strings.json"
    path.write_text(json.dumps(docs) if is_array else "\n".join(map(json.dumps, docs)))
    assert load_text(path) == docs
