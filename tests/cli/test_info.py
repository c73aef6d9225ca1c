import json
from math import log

import pytest
from commands import ok, refused
from json_files import edit

from microgpt import load

CHAT = '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]\n'
NAMES = "anna\nemma\nanna\nava\nmaximilian\n"


@pytest.fixture
def names(tmp_path):
    """A small training file."""
    (tmp_path / "names.txt").write_text(NAMES)
    return "names.txt"


def test_info_describes_a_training_file(microgpt, names) -> None:
    done = ok(microgpt("info", "--data", names))
    assert done.stderr.endswith("run: microgpt train --data names.txt --model names\n")
    lines = done.stdout.splitlines()
    assert lines[0] == "names.txt: lines of text"
    facts = {
        name.strip(): text.strip() for name, _, text in (line.partition(":") for line in lines)
    }
    assert facts["documents"] == "5; 1 (20.0%) are duplicates"
    assert facts["most frequent"] == "'anna' (2)"
    assert facts["tokens to predict"] == "30"
    assert "8 characters: aeilmnvx" in done.stdout
    assert "default of train: 16; longer: none" in done.stdout


def test_info_describes_data_as_one_json_document(microgpt, names) -> None:
    facts = json.loads(microgpt("info", "--data", names, "--json").stdout)
    assert (facts["n_docs"], facts["n_tokens"], facts["n_repeats"]) == (5, 30, 1)
    assert facts["most_frequent"] == [{"document": "anna", "n": 2}]
    assert facts["char_counts"]["a"] == 9
    assert facts["lengths"]["median"] == 5
    assert facts["recommended_block_size"] == 16
    assert facts["n_longer"] == 0


def test_info_counts_documents_longer_than_the_context(microgpt, tmp_path) -> None:
    (tmp_path / "names.txt").write_text("\n".join([*map(str, range(500)), "long" * 50]))
    facts = json.loads(microgpt("info", "--data", "names.txt", "--json").stdout)
    assert facts["recommended_block_size"] < 200
    assert facts["n_longer"] == 1
    assert "longer: 1 (0.2%)" in microgpt("info", "--data", "names.txt").stdout


def test_info_ends_with_what_to_expect_of_a_model(microgpt, tmp_path) -> None:
    (tmp_path / "sums.txt").write_text("\n".join(f"{i} + 1 = {i + 1}" for i in range(500)))
    done = ok(microgpt("info", "sums.txt"))
    assert done.stdout == ok(microgpt("info", "--data", "sums.txt")).stdout
    *_, losses, interval, words = done.stdout.splitlines()
    expected = json.loads(ok(microgpt("info", "sums.txt", "--json")).stdout)["expectation"]
    assert expected["uniform"] == pytest.approx(log(14))  # ten digits, + and =, a space and the end
    low, high = expected["model"]
    assert low < expected["ngram"] < high < expected["uniform"]
    assert f"{expected['uniform']:.2f} for a uniform guess, {expected['ngram']:.2f}" in losses
    assert f"{low:.2f} to {high:.2f}" in interval
    assert words.endswith("ten times the text would help most")
    assert len(done.stdout.splitlines()) <= 20


def test_info_says_how_a_folder_is_read_and_how_else(microgpt, tmp_path) -> None:
    (tmp_path / "poems").mkdir()
    for name in "ab":
        (tmp_path / f"poems/{name}.txt").write_text(f"Poem {name}\n\nIt rains.\n")
    for what in ("poems", "poems/*.txt"):
        done = ok(microgpt("info", what))
        assert done.stdout.startswith(
            f"{what}: each document is a file\n  otherwise: --text stream"
        )
        assert "has only 2 documents: a model can only repeat them" in done.stderr
    for args in (["info", *"abc"], ["train", "--data", *"ab"]):
        for name in "abc":
            (tmp_path / name).touch()
        assert "--data takes one path; pass the folder of the" in refused(microgpt(*args))


@pytest.mark.parametrize("args", [["chat.jsonl"], ["chat.txt"], ["chat.txt", "--chat"]])
def test_info_detects_conversations_by_their_content(microgpt, tmp_path, args) -> None:
    (tmp_path / args[0]).write_text(CHAT * 2)
    done = microgpt("info", "--data", *args)
    assert done.stdout.startswith(f"{args[0]}: conversations\n")
    assert "'hi / yo' (2)" in done.stdout
    assert f"microgpt train --chat --data {args[0]} --model chat" in done.stderr
    facts = json.loads(microgpt("info", "--data", *args, "--json").stdout)
    assert facts["most_frequent"] == [{"document": json.loads(CHAT), "n": 2}]


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["names.txt", "--data", "names.txt"], "--data describes a file; omit the model"),
        (["--data", "names.txt", "--model-dir", "gone"], "--data describes a file; omit the model"),
        (["--chat"], "--chat requires --data; add --data or omit --chat"),
    ],
)
def test_info_refuses_misplaced_options(microgpt, names, tmp_path, args, problem) -> None:
    assert problem in refused(microgpt("info", *args))


def test_control_characters_in_meta_json_are_escaped(microgpt, text_model) -> None:
    """Keys, values and text in lists, with ESC, a turn of the writing direction, a line end."""
    odd = "\x1b[2J\u202e\n"
    facts = {odd: odd, "list": [odd], "inside": {odd: odd}, "a" * 10**6: "b" * 10**6}
    edit(text_model / "meta.json", created_by=odd, training=facts)
    done = ok(microgpt("info", "--model-dir", text_model))
    assert done.stdout.replace("\n", "").isprintable()
    assert r"  \x1b[2J\u202e\n: " in done.stdout
    assert len(done.stdout) < 10_000


def test_info_and_train_choose_the_same_context_for_a_book(microgpt, tmp_path) -> None:
    paragraph = "It was late, and the road was long\nand dark, and nobody came to meet us.\n\n"
    (tmp_path / "book.txt").write_text(paragraph * 40)
    done = microgpt("info", "--data", "book.txt", "--json")
    facts = json.loads(done.stdout)
    assert facts["kind"] == "running text"
    microgpt("train", "--data", "book.txt", "--model", "book", "-n", "0", "--steps", "1")
    assert load(tmp_path / "book").model.block_size == facts["recommended_block_size"]
    done = microgpt("info", "--data", "book.txt")
    assert done.stdout.startswith("book.txt: running text, 2,")
    assert "tokens, lengths and repeats refer to the lines of this running text" in done.stderr
