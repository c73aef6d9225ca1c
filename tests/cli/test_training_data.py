"""Tests of the `train` command on long texts, tables, books and conversations."""

import json
import os
import random
import sys
from pathlib import Path

import pytest
from commands import ok, run_process
from trainings import made_up_names, meta_of, training_of, weights

from microgpt import load
from microgpt.settings import PRESETS

pytestmark = pytest.mark.compiled

SMALL = ("--n-embd", "8", "--n-head", "2", "--steps", "30", "--num-samples", "2", "--output", "m")
CHARS = ("--tokenizer", "char")
HELD_OUT = ("--text", "stream", "--val-fraction", "0.2", "--test-fraction", "0.1")


@pytest.mark.parametrize("tokenizer", [CHARS, ("--tokenizer", "bpe", "--vocab-size", "260")])
def test_train_and_resume_print_gaps_around_held_out_text(microgpt, tmp_path, tokenizer) -> None:
    (tmp_path / "book.txt").write_bytes(b"anna and\r\nemma\r\n\r\n" * 12 + b"mia.")
    size = "16" if tokenizer == CHARS else "4"  # 16 characters: train estimates 4 per subword
    options = (*HELD_OUT, *SMALL, "--block-size", size, *tokenizer)
    done = microgpt("train", "--input", "book.txt", *options)
    said = (
        "64 characters for training, 37 for validation, 19 for testing; "
        "2 held-out stretches with gaps of 16 characters\n"
    )
    assert said in done.stderr
    saved = load(tmp_path / "m")
    assert (saved.config.text, saved.meta.training["gap"]) == ("stream", 16)
    done = microgpt("train", "--resume", "m", "--steps", "40")
    assert said in done.stderr


@pytest.mark.parametrize("text", ["lines", "stream"])
def test_training_on_a_megabyte_line_prints_and_saves_little(microgpt, tmp_path, text) -> None:
    (tmp_path / "huge.txt").write_text("all work and no play " * 50_000)
    assert len(ok(microgpt("train", "--input", "huge.txt", "--text", text, *SMALL)).stderr) < 2_000
    assert (tmp_path / "m/train_state.safetensors").stat().st_size < 100_000


# On Linux, the peak memory of a process includes that of its parent, so a small process starts the
# command.
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_of(folder, *args: str) -> int:
    """Return the peak memory of a command, in bytes."""
    command = [sys.executable, "-c", PEAK, "microgpt", *args]
    return int(ok(run_process(command, cwd=folder)).stdout) * 1024


@pytest.mark.slow
@pytest.mark.long
def test_training_on_a_million_lines_takes_bounded_memory(tmp_path) -> None:
    lines = (f"{i * 2_654_435_761 % 2**32:x}" for i in range(1_000_000))
    (tmp_path / "million.txt").write_text("\n".join(lines))
    (tmp_path / "few.txt").write_text("anna\nemma\n" * 20)
    size = os.stat(tmp_path / "million.txt").st_size
    idle = peak_of(tmp_path, "train", "--input", "few.txt", "--output", "few", "--steps", "1")
    whole = ("--steps", "500", "--batch-size", "256", "--val-fraction", "0.01")
    whole += ("--n-embd", "1", "--n-head", "1")
    used = peak_of(tmp_path, "train", "--input", "million.txt", "--output", "million", *whole)
    assert used - idle <= 10 * size + 150_000_000


@pytest.mark.slow
def test_the_text_preset_holds_out_20_parts_of_shakespeare(microgpt, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(PRESETS["text"], "data", "shakespeare.txt")
    options = ("train", "--preset", "text", "--steps", "2", "--n-embd", "8", "--n-layer", "1")
    done = ok(microgpt(*options, "--block-size", "8", "--num-samples", "0"))
    assert "note: data/shakespeare.txt not found; using the bundled shakespeare.txt" in done.stderr
    assert "; 20 held-out stretches with gaps of 8 characters" in done.stderr
    training = training_of(tmp_path / "output")
    assert (training["text"], training["gap"]) == ("stream", 8)
    assert "; 20 held-out" in ok(microgpt("train", "--resume", "output", "--steps=3")).stderr


SMALLEST = ("--n-embd", "8", "--n-head", "2", "--steps", "2", "--num-samples", "0", "--output", "m")
PARAGRAPH = "The sea was calm, and nobody on board\nhad slept since Lisbon or thought of home."
WAYS = "--text lines: each line is a document; --separator blank: each paragraph"
NOTE = f"as running text of 736 characters ({WAYS})"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "book.txt").write_text("\n\n".join([PARAGRAPH] * 9))
    (tmp_path / "towns.csv").write_text('name;land\n"Bad Tölz";DE\nLinz;AT\n')
    return tmp_path


def test_only_the_first_run_on_a_book_notes_it_is_running_text(microgpt, files) -> None:
    assert f"reading book.txt {NOTE}\n" in microgpt("train", "--data", "book.txt", *SMALLEST).stderr
    assert load(files / "m").config.text == "stream"
    more = microgpt("train", "--data", "book.txt", *SMALLEST[:-1], "m2", "--from", "m")
    assert load(files / "m2").config.text == "stream"
    resumed = ok(microgpt("train", "--resume", "m", "--steps", "3"))
    assert NOTE not in ok(more).stderr + resumed.stderr


def test_train_resume_eval_and_info_read_one_column_of_a_table(microgpt, files) -> None:
    column = ("--data", "towns.csv", "--column", "name")
    assert microgpt("train", *column, *SMALLEST).stdout.startswith("num docs: 2\n")
    assert json.loads((files / "m/train_state.json").read_text())["given"]["column"] == "name"
    ok(microgpt("train", "--resume", "m", "--steps", "3"))
    assert json.loads(microgpt("eval", "m", *column, "--json").stdout)["n_docs"] == 2
    assert microgpt("info", *column).stdout.startswith("towns.csv: column 'name'\n")


def test_train_prints_whether_a_chat_model_folds_case_and_accents(microgpt, files) -> None:
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


def test_train_resume_and_eval_read_multi_line_documents(microgpt, recipes, tmp_path) -> None:
    done = microgpt("train", "--data", recipes, "--separator", "%", *SMALLEST[:-2])
    assert done.stdout.startswith("num docs: 3\n")
    ok(microgpt("train", "--resume", "output", "--steps", "30", "-n", "0"))
    told = json.loads(microgpt("eval", "--data", recipes, "--separator", "%", "--json").stdout)
    assert told["n_docs"] == 3


def test_info_suggests_a_train_command_with_the_given_separator(microgpt, recipes) -> None:
    told = microgpt("info", "--data", recipes, "--separator", "%")
    assert "documents:          3; no duplicates" in told.stdout
    assert "microgpt train --separator % --data recipes.txt" in told.stderr


NAMES, OTHERS = made_up_names(400), made_up_names(200, "abcxyz")
BUDGET = ("--budget", "1e10", "-n", "0")  # training takes less than a second
LITTLE = ("--budget", "2e9", "-n", "0")
TUNING = ("train", "--from", "parent", "--data", "others.txt")


@pytest.fixture(scope="module")
def trained(prepare) -> Path:
    """A directory with a parent model, its training data, and other data to fine-tune it on."""
    folder = prepare("\n".join(NAMES), ("--budget", "2e9", "-n", "0", "--model", "parent"))
    (folder / "others.txt").write_text("\n".join(OTHERS))
    return folder


def test_fine_tuning_sets_steps_adds_tokens_and_keeps_the_shape(microgpt, folder) -> None:
    done = ok(microgpt(*TUNING, *BUDGET, "--model", "a"))
    facts = training_of(folder / "a")
    child, parent = meta_of(folder / "a"), meta_of(folder / "parent")
    assert facts.keys() >= {"lr", "steps", "batch_size", "val_loss", "test_loss"}
    assert facts["parent_sha256"] == parent["weights_sha256"]
    assert "note: added tokens with random weights: 'x', 'y', 'z'" in done.stderr
    assert (facts["dropout"], facts["budget"]) == (0.1, 1e10)
    for name in ("n_embd", "n_layer", "block_size"):
        assert child[name] == parent[name]
    assert f"{facts['steps']} steps of {facts['batch_size']} documents, dropout 0.1 " in done.stderr
    assert "note: why: " in done.stderr


def test_a_text_model_can_be_fine_tuned_on_conversations(microgpt, folder) -> None:
    talks = [
        [{"role": "user", "content": f"say {name}"}, {"role": "assistant", "content": name}]
        for name in OTHERS[:60]
    ]
    (folder / "talks.jsonl").write_text("\n".join(map(json.dumps, talks)))
    options = ("--data", "talks.jsonl", "--chat", *BUDGET[:2], "--model", "a")
    assert "exact answers" in ok(microgpt("train", "--from", "parent", *options)).stdout


def test_fine_tuning_uses_the_given_learning_rate_and_held_out_fractions(microgpt, folder) -> None:
    done = ok(microgpt(*TUNING, *BUDGET, "--learning-rate", "0.002", "--model", "a"))
    assert training_of(folder / "a")["lr"] == 0.002
    assert "held-out losses after" not in done.stderr
    ok(microgpt(*TUNING, *BUDGET, "--val-fraction", "0", "--test-fraction", "0", "--model", "b"))
    assert not training_of(folder / "b").keys() & {"val_loss", "test_loss"}


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A directory with a file of names and a book."""
    rng = random.Random(0)
    paragraphs = [" ".join(rng.choices(NAMES, k=30)) for _ in range(60)]
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    (tmp_path / "book.txt").write_text("\n\n".join(paragraphs))
    return tmp_path


def notes(done) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("note: ")]


def test_train_prints_the_chosen_settings_and_reasons(microgpt, texts) -> None:
    chosen, why = notes(microgpt("train", "--data", "names.txt", *LITTLE, "--model", "a"))[:2]
    assert chosen.startswith("note: 2e9 operations: 2 layers of width 16, context 16, ")
    assert why.startswith("note: why: ")
    assert " characters in " in why


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a single document", "split is empty, as there are too few documents (1)"),
        ("the same line\n" * 300, "as there are too few distinct documents (1)"),
        ("\n".join("ab " * 3000 for _ in range(3)) + "\nc" * 20, "longer than the block size"),
    ],
    ids=["one document", "all equal", "long lines"],
)
def test_train_accepts_few_equal_or_long_texts_with_a_note(microgpt, texts, content, said) -> None:
    (texts / "odd.txt").write_text(content)
    done = ok(microgpt("train", "--data", "odd.txt", "--budget", "2e10", "-n", "1", "--model", "a"))
    assert said in done.stderr
    assert done.stderr.count("too few") <= 1
    assert "sample  1: " in done.stdout


def test_train_says_that_a_text_is_too_short_for_the_budget(microgpt, texts, monkeypatch) -> None:
    monkeypatch.setattr("microgpt.training.choice.MIN_USEFUL", 1e8)
    (texts / "odd.txt").write_text("a single document")
    done = microgpt("train", "--data", "odd.txt", "--budget", "4e9", "--model", "a")
    assert "the data are too small for 4e9 operations, so training ends early" in done.stderr


def test_resuming_reads_the_same_data_and_scales_the_budget(microgpt, texts, monkeypatch) -> None:
    for name in ("READ", "MIN_READ"):
        monkeypatch.setattr(f"microgpt.training.choice.{name}", 400)
    for data in ("names.txt", "book.txt"):
        done = ok(microgpt("train", "--data", data, *LITTLE, "--model", data[:4]))
        (sizes,) = [line for line in notes(done) if "for training" in line]
        assert "is read, as there is no time for more" in sizes
        budget, steps = (training_of(texts / data[:4])[name] for name in ("budget", "steps"))
        more = ("--resume", data[:4], "--steps", str(2 * steps), "-n", "0")
        assert sizes in notes(ok(microgpt("train", *more)))
        assert training_of(texts / data[:4])["budget"] == 2 * budget


@pytest.mark.slow
def test_a_run_limited_by_minutes_records_the_equivalent_budget(microgpt, texts) -> None:
    data = ("--data", "book.txt", "-n", "0")
    done = ok(microgpt("train", *data, "--minutes", "0.04", "--model", "a", "--json"))
    facts = training_of(texts / "a")
    assert facts["minutes"] == 0.04
    assert facts["budget"] == float(f"{facts['budget']:.4g}") == json.loads(done.stdout)["budget"]
    assert " times in about " in notes(done)[1]
    microgpt("train", *data, "--budget", f"{facts['budget']}", "--model", "c")
    planned = training_of(texts / "c")
    is_shortened = any(  # on a busy machine, fewer steps or teachers are trained
        facts.get(name) != planned.get(name) for name in ("steps", "teachers")
    )
    assert is_shortened or weights(texts / "a") == weights(texts / "c")
