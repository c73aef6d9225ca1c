import json
import re
from dataclasses import replace
from math import log
from pathlib import Path

import pytest
from commands import ok, refused
from exported_models import ARCHITECTURES, saved_model
from gguf import GGUFReader
from json_files import edit
from terminal import Terminal

from microgpt.data.tokenizer import Message
from microgpt.questions.known_questions import KnownQuestions
from microgpt.storage.model_directory import load, save

MISFIT = "the model has token shift, which no architecture of llama.cpp and transformers has"
NAMES = [a + b for a in ("an", "em", "mi", "lu", "zo", "ka") for b in ("na", "ma", "la", "ra")]
TRAIN = ("train", "--n-embd", "8", "--n-layer", "1", "--block-size", "8", "--num-samples", "0")
TIME = r"about [\d.]+ \w+"
EXPORT = ("export", "names", "--format", "gguf", "--output", "new.gguf")


@pytest.fixture
def model(microgpt, tmp_path: Path) -> Path:
    """A model of names, some of which were held out."""
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    options = ("--data", "names.txt", "--steps", "20", "--test-fraction", "0.3")
    ok(microgpt(*TRAIN, *options, "--model", "names"))
    return tmp_path / "names"


def bits(stdout: str, of: str) -> list[float]:
    line = stdout.splitlines()[0]
    number = r"(\d\.\d{4})"
    losses = f"{number} of the model, {number} of the student"
    found = re.fullmatch(rf"bits per character of {of}: {losses} \(.\S+\)", line)
    assert found, line
    return [*map(float, found.groups())]


@pytest.mark.parametrize(("format", "output"), [("gguf", "new.gguf"), ("transformers", "new")])
def test_without_a_terminal_export_requires_the_student_option(
    format, output, microgpt, model, tmp_path
) -> None:
    before = sorted(tmp_path.iterdir())
    problem = refused(microgpt("export", model, "--format", format, "--output", output))
    how = "train a portable student with --student on"
    assert re.fullmatch(rf"{MISFIT}; {how} its training data, which takes {TIME}", problem)
    assert sorted(tmp_path.iterdir()) == before


def test_a_student_learns_from_the_documents_of_its_teacher(microgpt, model, tmp_path) -> None:
    done = ok(microgpt(*EXPORT, "--student"))
    assert re.search(
        rf"{MISFIT}; training a portable student of it on its training data, which "
        rf"takes {TIME}\n",
        done.stderr,
    )
    before, after = bits(done.stdout, "held-out documents")
    test_loss = load(model).meta.training["test_loss"]  # in nats per character
    assert before == pytest.approx(test_loss / log(2), abs=1e-4)
    assert after < log(12, 2)  # that of a model that has learned nothing
    assert GGUFReader(tmp_path / "new.gguf").fields["general.architecture"].contents() == "apertus"


def test_a_teacher_without_its_documents_generates_texts(microgpt, model, tmp_path) -> None:
    ok(microgpt("export", "names", "--output", "bare"))
    options = ("--format", "transformers", "--student")
    done = ok(microgpt("export", "bare", *options, "--output", "new"))
    assert "on texts that it generates, which takes about" in done.stderr
    bits(done.stdout, "generated texts")
    (tmp_path / "names.txt").unlink()
    done = ok(microgpt("export", "names", *options, "--output", "newer"))
    assert "on texts that it generates, which takes about" in done.stderr


def test_a_student_can_learn_from_other_documents(microgpt, model, tmp_path) -> None:
    (tmp_path / "others.txt").write_text("\n".join(name[::-1] for name in NAMES))
    done = ok(microgpt(*EXPORT, "--student", "--data", "others.txt"))
    assert "student of it on others.txt, which takes about" in done.stderr
    bits(done.stdout, "held-out documents")


@pytest.mark.parametrize("answer", ["y", "n"])
def test_export_offers_a_portable_student_at_a_terminal(answer, model, tmp_path) -> None:
    screen = Terminal("microgpt", *EXPORT, cwd=tmp_path, size=(24, 400))
    screen.expect(rf"a portable student of it on its training data, which takes {TIME}\? \[y/N\]: ")
    screen.send(f"{answer}\r")
    if answer == "n":
        screen.expect("train a portable student with --student")
    assert screen.exit_code() == (0 if answer == "y" else 2)
    assert (tmp_path / "new.gguf").exists() == (answer == "y")


def test_interrupting_the_training_of_a_student_leaves_no_files(model, tmp_path) -> None:
    edit(model / "meta.json", training={**load(model).meta.training, "steps": 10**7})
    before = sorted(tmp_path.iterdir())
    screen = Terminal("microgpt", *EXPORT, "--student", cwd=tmp_path, size=(24, 400))
    screen.expect("of 10,?000,?000|/ ?10,?000,?000")
    screen.sendintr()
    screen.expect("nothing was written")
    assert screen.exit_code() == 130
    assert sorted(tmp_path.iterdir()) == before


def test_a_student_of_a_chat_model_needs_its_conversations(microgpt, tmp_path) -> None:
    pairs = [[f"what is {name}", f"a {name}"] for name in NAMES]
    chats = [[*pairs[i], *pairs[i - 1]] for i in range(len(pairs))]
    roles = ("user", "assistant")
    lines = [
        json.dumps(
            {"messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(chat)]}
        )
        for chat in chats
    ]
    (tmp_path / "chats.jsonl").write_text("\n".join(lines))
    shape = ("--n-embd", "8", "--n-layer", "1", "--block-size", "64")
    options = ("--chat", "--data", "chats.jsonl", "--steps", "5", *shape)
    ok(microgpt("train", *options, "--model", "names"))
    ok(microgpt("export", "names", "--output", "bare"))
    export = ("export", "bare", "--format", "gguf", "--output", "new.gguf", "--student")
    assert refused(microgpt(*export)).endswith(
        "; a chat model cannot generate conversations for its student; pass some with --data"
    )
    done = ok(microgpt(*EXPORT, "--student"))
    assert "note: no conversations were held out, so the cost of the student is unknown" in (
        done.stderr
    )
    ok(microgpt(*export, "--data", "chats.jsonl", "--force"))


def test_a_model_of_few_questions_cannot_have_a_student(microgpt, tmp_path) -> None:
    chat = saved_model("chat", **ARCHITECTURES["newer"])
    asked = (Message("user", "where is it"), Message("assistant", "here."))
    known = KnownQuestions((asked,), "no idea")
    meta = chat.meta.model_copy(update={"known_questions": known})
    save(replace(chat, meta=meta), tmp_path / "names")
    assert refused(microgpt(*EXPORT, "--student")).startswith(
        "the model only answers known questions,"
    )


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--data", "none.txt"], "cannot read none.txt: No such file or directory"),
        (["--data", "odd.txt"], "do not know the characters 'é'"),
        (["--data", "few.txt"], "too few distinct documents (1): the test split is empty"),
    ],
)
def test_unsuitable_documents_are_refused(options, problem, microgpt, model, tmp_path) -> None:
    (tmp_path / "odd.txt").write_text("\n".join(f"{name}é" for name in NAMES))
    (tmp_path / "few.txt").write_text("anna\nanna\n")
    assert problem in refused(microgpt(*EXPORT, "--student", *options))
    assert not (tmp_path / "new.gguf").exists()


@pytest.mark.parametrize(("name", "value"), [("steps", "many"), ("steps", -1), ("lr", [1])])
def test_damaged_settings_of_a_teacher_are_refused(name, value, microgpt, model) -> None:
    edit(model / "meta.json", training={**load(model).meta.training, name: value})
    assert name in refused(microgpt(*EXPORT, "--student"))
