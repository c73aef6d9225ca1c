import json
import shutil
from math import log

import pytest
from commands import ok
from json_files import edit

CHAT = '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]\n'
NAMES = "anna\nemma\nanna\nava\nmaximilian\n"


@pytest.fixture
def names(tmp_path):
    """A training file of five names, one of which occurs twice."""
    (tmp_path / "names.txt").write_text(NAMES)
    return "names.txt"


def test_info_describes_a_data_file_and_suggests_a_train_command(microgpt, names) -> None:
    done = ok(microgpt("info", "--data", names))
    assert done.stderr.endswith("run: microgpt train --data names.txt --model names\n")
    lines = done.stdout.splitlines()
    assert lines[0] == "names.txt: lines of text"
    facts = {
        name.strip(): text.strip() for name, _, text in (line.partition(":") for line in lines)
    }
    assert facts["documents"] == "5; 1 (20.0%) are duplicates"
    assert facts["tokens to predict"] == "30"
    assert "8 characters: aeilmnvx" in done.stdout
    assert facts["lengths"] == "min 4, median 5, max 11"
    assert json.loads(microgpt("info", "--data", names, "--json").stdout)["char_counts"]["a"] == 9


def test_info_ends_with_the_expected_loss_of_a_trained_model(microgpt, tmp_path) -> None:
    (tmp_path / "sums.txt").write_text("\n".join(f"{i} + 1 = {i + 1}" for i in range(500)))
    done = ok(microgpt("info", "sums.txt"))
    *_, losses, interval, words = done.stdout.splitlines()
    expected = json.loads(ok(microgpt("info", "sums.txt", "--json")).stdout)["expectation"]
    counted, (low, high) = expected["baselines"], expected["model"]
    assert counted["uniform"] == round(log(14), 4)  # ten digits, +, =, space, end token
    assert low < counted["ngrams"] < high < counted["uniform"]
    assert f"a uniform guess {counted['uniform']:.2f}, " in losses
    assert f"n-grams {counted['ngrams']:.2f}" in losses
    assert f"{low:.2f} to {high:.2f}" in interval
    assert words.endswith("ten times the text would help most")
    assert len(done.stdout.splitlines()) <= 20


def test_info_says_how_a_folder_is_read_and_if_it_is_too_small(microgpt, tmp_path) -> None:
    (tmp_path / "poems").mkdir()
    for name in "ab":
        (tmp_path / f"poems/{name}.txt").write_text(f"Poem {name}\n\nIt rains.\n")
    for what in ("poems", "poems/*.txt"):
        done = ok(microgpt("info", what))
        assert done.stdout.startswith(f"{what}: each document is a file\n")
        assert "2 documents, each a file (--text stream" in done.stderr
        assert "has only 2 documents: a model can only repeat them" in done.stderr


@pytest.mark.parametrize("args", [["chat.jsonl"], ["chat.txt"], ["chat.txt", "--chat"]])
def test_info_recognises_a_file_of_conversations(microgpt, tmp_path, args) -> None:
    (tmp_path / args[0]).write_text(CHAT * 2)
    done = microgpt("info", "--data", *args)
    assert done.stdout.startswith(f"{args[0]}: conversations\n")
    assert f"microgpt train --chat --data {args[0]} --model chat" in done.stderr
    assert "documents:          2; 1 (50.0%) are duplicates" in done.stdout


def test_info_escapes_and_shortens_the_texts_of_meta_json(microgpt, text_model) -> None:
    """Keys, values and lists contain ESC, a bidirectional override and a line break."""
    odd = "\x1b[2J\u202e\n"
    facts = {odd: odd, "list": [odd], "inside": {odd: odd}, "a" * 10**6: "b" * 10**6}
    edit(text_model / "meta.json", created_by=odd, training=facts)
    done = ok(microgpt("info", "--model-dir", text_model))
    assert done.stdout.replace("\n", "").isprintable()
    assert r"  \x1b[2J\u202e\n: " in done.stdout
    assert len(done.stdout) < 10_000


def test_info_recognises_a_book_as_running_text_and_counts_its_lines(microgpt, tmp_path) -> None:
    paragraph = "It was late, and the road was long\nand dark, and nobody came to meet us.\n\n"
    (tmp_path / "book.txt").write_text(paragraph * 40)
    facts = json.loads(microgpt("info", "--data", "book.txt", "--json").stdout)
    assert (facts["kind"], facts["n_docs"]) == ("running text", 80)
    done = microgpt("info", "--data", "book.txt")
    assert done.stdout.startswith("book.txt: running text, 2,")
    assert "tokens, lengths and repeats refer to the lines of this running text" in done.stderr


def test_list_shows_one_line_per_readable_model(microgpt, text_model, chat_model, tmp_path) -> None:
    meta = json.loads((text_model / "meta.json").read_text())
    for name in ("damaged", ".hidden", "line\nend"):
        shutil.copytree(text_model, tmp_path / "below" / name)
    edit(tmp_path / "below/line\nend/meta.json", training={"val_loss": 2.5})
    (tmp_path / "below/damaged/meta.json").write_text("{")
    (tmp_path / "below/other").mkdir()
    (tmp_path / "below/other/meta.json").write_text("[]")  # a file of another program is not listed
    (tmp_path / "below/loop").symlink_to(tmp_path)
    done = ok(microgpt("list"))
    head, *rows = (line.split("  ") for line in done.stdout.splitlines())
    assert [cell.strip() for cell in head if cell] == ["model", "kind", "weights", "loss"]
    shown = {row[0].strip(): " ".join(filter(None, (cell.strip() for cell in row))) for row in rows}
    path, loss = f"./{text_model.name}", f"{meta['training']['train_loss']:.4f} training"
    assert shown[path].startswith(f"{path} text ")
    assert shown[path].endswith(loss)
    assert " chat " in shown[f"./{chat_model.name}"]
    assert shown["./below/line\\nend"].endswith("2.5000 held-out")
    assert len(shown) == 3
    assert done.stderr.startswith("note: below/damaged/meta.json: ")
    assert len(ok(microgpt("list", "below")).stdout.splitlines()) == 2


def test_list_marks_an_unfinished_run_and_notes_an_empty_folder(microgpt, tmp_path) -> None:
    assert "no model" in ok(microgpt("list")).stderr
    (tmp_path / "names.txt").write_text("anna\nemma\n")
    ok(microgpt("train", "--data", "names.txt", "--steps", "3", "--model", "half"))
    assert "./half  text  " in ok(microgpt("list")).stdout
    (tmp_path / "half/weights.json").unlink()
    assert "./half  text, unfinished  " in ok(microgpt("list")).stdout
