import hashlib
import os
from collections import Counter

import pytest

from microgpt import load, load_text
from microgpt.data.conversation_file import load_chat_tests
from microgpt.data.documents import BLANK, DEMO_MODEL, bundled, load_documents
from microgpt.data.read_options import ReadOptions
from microgpt.errors import ConfigError, DataError


def test_the_bundled_shakespeare_text_is_that_of_nanogpt() -> None:
    content = bundled("shakespeare.txt").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert digest == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    read = load_documents(bundled("shakespeare.txt"), ReadOptions())
    assert read == content.decode().rstrip("\n")


@pytest.mark.parametrize(
    ("name", "n_tasks", "least"),
    [("chat_heldout.jsonl", 10, 400), ("chat_fresh.jsonl", 17, 40), ("chat_fourth.jsonl", 16, 10)],
)
def test_the_bundled_questions_cover_each_task(name, n_tasks, least) -> None:
    tasks = Counter(item.task for item in load_chat_tests(bundled(name)).items)
    assert len(tasks) == n_tasks
    assert min(tasks.values()) >= least
    assert tasks["outside"] >= 100


def test_the_bundled_model_is_small_and_can_chat() -> None:
    directory = bundled(DEMO_MODEL)
    assert load(directory).tokenizer.is_chat
    assert sum(file.stat().st_size for file in directory.iterdir()) < 1_000_000


def test_lines_are_stripped_and_empty_lines_are_skipped(write) -> None:
    assert load_text(write("\ufeff anna \r\n\r\n\t\nemma mia")) == ["anna", "emma mia"]


def test_documents_can_be_read_from_a_pipe() -> None:
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
        ("%\n%\n", "%", DataError, "has only separators"),
        (RECIPES, "***", DataError, r"has no line '\*\*\*' to separate documents; omit --sep"),
        (RECIPES, "", ConfigError, "is empty; for blank lines use --separator blank"),
        (RECIPES, " ", ConfigError, "is empty; for blank lines use --separator blank"),
    ],
)
def test_an_invalid_or_unused_separator_is_refused(
    write, content, separator, error, problem
) -> None:
    with pytest.raises(error, match=problem) as refusal:
        blocks(write(content), separator)
    assert len(str(refusal.value)) < 500
