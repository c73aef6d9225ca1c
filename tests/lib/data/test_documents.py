import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from microgpt import load, load_conversations, load_text
from microgpt.data.conversation_file import load_chat_tests
from microgpt.data.documents import DEMO_MODEL, bundled, load_lines_or_stream
from microgpt.data.text_file import TextFile
from microgpt.errors import DataError


def test_the_bundled_names_are_those_of_the_golden_run(golden) -> None:
    digest = hashlib.sha256(bundled("names.txt").read_bytes()).hexdigest()
    assert digest == golden["names_sha256"]
    assert digest == "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"
    assert len(load_text(bundled("names.txt"))) == 32_033


def test_the_bundled_shakespeare_text_is_that_of_nanogpt() -> None:
    content = bundled("shakespeare.txt").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert digest == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    assert load_lines_or_stream(TextFile(bundled("shakespeare.txt"))) == content.decode().rstrip(
        "\n"
    )


def test_verify_uses_the_golden_losses_and_names(golden) -> None:
    shipped = json.loads(bundled("karpathy_seed42.json").read_text())
    assert shipped["losses"] == golden["losses"]
    assert shipped["samples"] == golden["names"]


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


@pytest.mark.parametrize("content", ["", "\n \n\t\n"])
@pytest.mark.parametrize("load", [load_text, load_conversations])
def test_a_file_without_documents_is_refused(write, content: str, load) -> None:
    with pytest.raises(DataError, match="is empty; write one"):
        load(write(content))


def test_an_error_names_the_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*gone: No such file"):
        load_text(tmp_path / "gone")
    with pytest.raises(DataError, match=r"cannot read .*: Is a directory"):
        load_text(tmp_path)
