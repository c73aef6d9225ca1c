import hashlib
import os
from collections import Counter

import pytest
from trainings import talks

from microgpt import load, load_conversations, load_text, plugins
from microgpt.data.documents import (
    BLANK,
    DEMO_MODEL,
    ReadOptions,
    bundled,
    load_chat_tests,
    load_documents,
)
from microgpt.errors import ConfigError, DataError
from microgpt.plugins import PluginError


def test_the_bundled_shakespeare_text_equals_that_of_nanogpt() -> None:
    content = bundled("shakespeare.txt").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert digest == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    read = load_documents(bundled("shakespeare.txt"), ReadOptions())
    assert read == content.decode().rstrip("\n")


@pytest.mark.parametrize(
    ("name", "n_tasks", "least"),
    [("chat_heldout.jsonl", 10, 400), ("chat_fresh.jsonl", 17, 40), ("chat_fourth.jsonl", 16, 10)],
)
def test_the_bundled_test_questions_cover_each_task(name, n_tasks, least) -> None:
    tasks = Counter(item.task for item in load_chat_tests(bundled(name)).items)
    assert len(tasks) == n_tasks
    assert min(tasks.values()) >= least
    assert tasks["outside"] >= 100


def test_the_bundled_model_is_a_chat_model_below_1_mb() -> None:
    directory = bundled(DEMO_MODEL)
    assert load(directory).tokenizer.is_chat
    assert sum(file.stat().st_size for file in directory.iterdir()) < 1_000_000


def test_lines_are_stripped_and_empty_lines_are_skipped(write) -> None:
    assert load_text(write("\ufeff anna \r\n\r\n\t\nemma mia")) == ["anna", "emma mia"]


def test_tab_separated_lines_are_text_unless_a_column_is_chosen(write) -> None:
    told: list[str] = []
    path = write("hi\thallo\n\nyes\tja\nno\tnein\n")
    assert load_documents(path, ReadOptions(), tell=told.append) == [
        "hi\thallo",
        "yes\tja",
        "no\tnein",
    ]
    assert "row of a table" in told[0]
    assert load_text(path, column="2") == ["hallo", "ja", "nein"]


def test_the_encoding_of_text_in_a_pipe_is_detected() -> None:
    source, sink = os.pipe()
    with open(sink, "wb") as file:
        file.write(b"anna\nren\xe9\n")
    with pytest.raises(DataError, match=r"\(line 2 has the byte 0xe9\); it seems to be cp1252"):
        load_text(f"/dev/fd/{source}")
    os.close(source)


RECIPES = "Tea\nwater\n\nWait.\n%\nToast\nbread\n %\n%\nSalad\nMix.\n"
POEMS = "Roses are red\nand so on\n\n\nOne\nTwo\n\nA line\nand another\n"


def blocks(path, separator):
    return load_documents(path, ReadOptions(separator=separator))


@pytest.mark.parametrize("separator", ["%", " % "])
def test_separator_lines_divide_a_file_into_documents(write, separator) -> None:
    assert blocks(write(RECIPES), separator) == [
        "Tea\nwater\n\nWait.", "Toast\nbread", "Salad\nMix."
    ]  # fmt: skip


def test_blank_lines_can_separate_documents(write) -> None:
    assert blocks(write(POEMS), BLANK) == [
        "Roses are red\nand so on", "One\nTwo", "A line\nand another"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "separator", "error", "problem"),
    [
        ("%\n%\n", "%", DataError, "has no text; use another"),
        (RECIPES, "***", DataError, r"has no line '\*\*\*' to separate documents; omit --sep"),
        (RECIPES, "", ConfigError, "is empty; for blank lines use --separator blank"),
        (RECIPES, " ", ConfigError, "is empty; for blank lines use --separator blank"),
    ],
)
def test_empty_or_useless_separators_are_refused(write, content, separator, error, problem) -> None:
    with pytest.raises(error, match=problem) as refusal:
        blocks(write(content), separator)
    assert len(str(refusal.value)) < 500


NAMES = "anna\nemma\n"


# A plug-in that reads .up files and conversations, fails for .bad, and finds no texts in .none.
UPPER = """
import json
from microgpt import Message

def read(file, how, tell):
    if how.chat:
        return [(Message("user", "hi"), Message("assistant", "yo"))]
    if file.path.suffix == ".bad":
        json.loads("title")
    return {".up": [line.upper() for line in file], ".none": []}.get(file.path.suffix)
"""


@pytest.fixture
def upper_reader(install) -> None:
    install("upper-case", "readers", "upper = upper:read", upper=UPPER)


@pytest.mark.usefixtures("upper_reader")
def test_a_plugin_can_read_chosen_text_files_and_conversations(write) -> None:
    assert load_text(write(NAMES, "a.up")) == ["ANNA", "EMMA"]
    assert load_text(write(NAMES)) == ["anna", "emma"]
    assert load_conversations(write(NAMES)) == talks([("hi", "yo")])


@pytest.mark.usefixtures("upper_reader")
@pytest.mark.parametrize(
    ("name", "kind", "problem"),
    [
        ("a.bad", PluginError, r"a.bad .JSONDecodeError: .*, in line 9 of .*upper\.py.; repair"),
        ("a.none", DataError, "upper-case found no texts in .*a.none; use another file"),
    ],
)
def test_an_error_in_a_plugins_reader_names_the_plugins_package(write, name, kind, problem) -> None:
    with pytest.raises(kind, match=problem) as error:
        load_text(write(NAMES, name))
    assert "upper-case" in str(error.value)


def test_a_plugin_that_cannot_be_imported_is_noted_but_harmless(install, write) -> None:
    install("broken-reader", "readers", "gone = gone.module:read")
    notes: list[str] = []
    assert load_text(write(NAMES), tell=notes.append) == ["anna", "emma"]
    assert "broken-reader cannot be imported" in notes[0]
    with pytest.warns(UserWarning, match="broken-reader cannot be imported"):
        load_text(write(NAMES))


@pytest.mark.parametrize("me", ["Anna", None])
def test_an_unknown_chat_format_suggests_the_missing_package(monkeypatch, write, me) -> None:
    monkeypatch.setattr(plugins, "_installed", lambda: {"readers": []})
    with pytest.raises(DataError, match="microgpt-chat-exports"):
        load_conversations(write(NAMES), me=me)
