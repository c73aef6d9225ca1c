import json
from pathlib import Path

import pytest

from microgpt import load

SMALL = ("--n-embd", "8", "--n-head", "2", "--steps", "2", "--num-samples", "0", "--output", "m")
PARAGRAPH = "The sea was calm, and nobody on board\nhad slept since Lisbon or thought of home."
WAYS = "--text lines: each line is a document; --separator blank: each paragraph"
NOTE = f"as running text of 736 characters ({WAYS})"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "book.txt").write_text("\n\n".join([PARAGRAPH] * 9))
    (tmp_path / "towns.csv").write_text('name;land\n"Bad Tölz";DE\nLinz;AT\n')
    return tmp_path


def test_train_reads_a_book_as_running_text_and_says_so(microgpt, files) -> None:
    done = microgpt("train", "--data", "book.txt", *SMALL)
    assert f"reading book.txt {NOTE}\n" in done.stderr
    assert load(files / "m").config.text == "stream"
    more = microgpt("train", "--data", "book.txt", *SMALL[:-1], "m2", "--from", "m")
    assert load(files / "m2").config.text == "stream"
    resumed = microgpt("train", "--resume", "m", "--steps", "3")
    assert (more.returncode, resumed.returncode) == (0, 0)
    assert NOTE not in more.stderr + resumed.stderr


def test_every_command_can_read_one_column_of_a_table(microgpt, files) -> None:
    column = ("--data", "towns.csv", "--column", "name")
    assert microgpt("train", *column, *SMALL).stdout.startswith("num docs: 2\n")
    assert json.loads((files / "m/train_state.json").read_text())["given"]["column"] == "name"
    refused = microgpt("train", "--resume", "m", "--steps", "3", "--column", "land")
    assert "omit --column" in refused.stderr
    assert microgpt("train", "--resume", "m", "--steps", "3").returncode == 0
    assert json.loads(microgpt("eval", "m", *column, "--json").stdout)["n_docs"] == 2
    assert microgpt("info", *column).stdout.startswith("towns.csv: column 'name'\n")


def test_the_header_says_if_a_chat_model_folds_case_and_accents(microgpt, files) -> None:
    (files / "chat.jsonl").write_text('{"prompt": "hi", "completion": "yo"}\n')
    done = microgpt("train", "--chat", "--data", "chat.jsonl", "--steps", "2")
    assert done.stdout.splitlines()[3] == 'folding: case and accents ("Jörg" is read as "jorg")'
    assert load(files / "output").meta.fold
    (files / "chat.jsonl").write_text('{"prompt": "Hi", "completion": "yo"}\n')
    done = microgpt("train", "--chat", "--data", "chat.jsonl", "--steps", "2", "--force")
    assert "folding" not in done.stdout


RECIPES = "Tea\nwater\nWait.\n%\nToast\nbread\nToast it.\n%\nSalad\nleaves\nMix.\n"


@pytest.fixture
def recipes(tmp_path):
    (tmp_path / "recipes.txt").write_text(RECIPES)
    return "recipes.txt"


def test_training_on_multi_line_documents_can_be_resumed(microgpt, recipes, tmp_path) -> None:
    done = microgpt("train", "--data", recipes, "--separator", "%", *SMALL[:-2])
    assert done.stdout.startswith("num docs: 3\n")
    more = microgpt("train", "--resume", "output", "--steps", "30", "-n", "0")
    assert more.returncode == 0, more.stderr
    told = json.loads(microgpt("eval", "--data", recipes, "--separator", "%", "--json").stdout)
    assert told["n_docs"] == 3


def test_info_repeats_the_separator_in_the_command_to_train(microgpt, recipes) -> None:
    told = microgpt("info", "--data", recipes, "--separator", "%")
    assert "documents:          3; no duplicates" in told.stdout
    assert "microgpt train --separator % --data recipes.txt" in told.stderr
