import json
import re
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from commands import ok, refused
from trainings import NAMES

from microgpt import BpeTokenizer, Message, load
from microgpt.data.split import split

pytestmark = pytest.mark.compiled

SMALL = ("--input", "names.txt", "--n-embd", "8", "--n-head", "2", "--steps", "40")
BPE = ("--tokenizer", "bpe", "--vocab-size", "270")
KANJI = (Message("user", "hi"), Message("assistant", "漢字é"))


@pytest.fixture(scope="module")
def ended(prepare) -> Path:
    """The directory of a small model with subword tokens."""
    options = ("--val-fraction", "0.2", "--output", "model")
    return prepare(NAMES, (*SMALL[2:], *BPE, *options)) / "model"


@pytest.fixture
def model(ended, names) -> Path:
    """A copy of the directory that the fixture `ended` returns, next to names.txt."""
    return Path(shutil.copytree(ended, names.with_name("model")))


@pytest.mark.usefixtures("names")
def test_train_learns_tokens_from_the_training_set_only(microgpt, tmp_path) -> None:
    done = ok(microgpt("train", *SMALL, *BPE, "--val-fraction", "0.5", "--num-samples", "2"))
    assert "vocab size: 270\n" in done.stdout
    learnt_from = split(NAMES.split(), validation=0.5).train
    learnt = BpeTokenizer.from_documents(learnt_from, vocab_size=270)
    assert load(tmp_path / "output").tokenizer.names == learnt.names


@pytest.mark.usefixtures("names")
def test_train_prints_the_bits_per_character_of_subwords(microgpt) -> None:
    done = ok(microgpt("train", *SMALL, *BPE, "--val-fraction", "0.5"))
    assert re.search(r" nats per token \(.* bits per character\) at step ", done.stdout)


def test_fine_tuning_accepts_only_the_parents_tokenizer(microgpt, model, names, tmp_path) -> None:
    names.write_text("zoë\nzoé\n" * 20)
    ok(microgpt("train", "--from", model, "--input", names, "--steps", "3", "--output", "child"))
    child = load(tmp_path / "child")
    assert child.tokenizer.file == load(model).tokenizer.file
    (tmp_path / "chat.jsonl").write_text(json.dumps([asdict(each) for each in KANJI]))
    talk = ("train", "--from", model, *BPE, "--chat", "--input", "chat.jsonl", "--steps", "3")
    assert "vocab size: 273\n" in microgpt(*talk, "--output", "talk").stdout
    for args, problem in [
        (["--tokenizer", "char"], "--tokenizer is char, but the --from model has bpe"),
        (["--vocab-size", "300", *BPE[:2]], "--vocab-size is 300, but the --from model has 270"),
    ]:
        assert problem in refused(microgpt("train", "--from", model, "--input", names, *args))


def test_generate_eval_info_and_export_accept_subwords(microgpt, model, names, tmp_path) -> None:
    options = ("--model-dir", model, "--num-samples", "5", "é", "--temperature", "1")
    samples = json.loads(microgpt("generate", *options, "--json").stdout)["samples"]
    assert all(text.startswith("é") for text in samples)
    ok(microgpt("generate", "--model-dir", model, "--novel", "--unique"))
    facts = json.loads(microgpt("eval", model, "--data", names, "--json").stdout)
    assert facts["n_characters"] == len(NAMES) + 1
    assert facts["n_tokens"] < facts["n_characters"]
    done = microgpt("eval", model, "--data", names)
    characters = f"{facts['n_characters']} ({facts['bits_per_character']:.4f} bits each)"
    assert f"\ncharacters: {characters}\n" in done.stdout
    assert json.loads(microgpt("info", "--model-dir", model, "--json").stdout)["tokenizer"] == "bpe"
    ok(microgpt("export", "--model-dir", model, "--output", "half", "--format", "float16"))
    assert load(tmp_path / "half").tokenizer.file == load(model).tokenizer.file


def test_chat_shows_characters_that_span_several_tokens(microgpt, subword_dir, subword_gpt) -> None:
    reply = subword_gpt.chat("hi there", temperature=0).content
    assert "漢字" in reply
    asked = ("chat", "--model-dir", subword_dir, "--temperature", "0")
    done = ok(microgpt(*asked, stdin="<|end_turn|>\nhi there\n"))
    assert done.stdout.splitlines()[1] == reply


@pytest.mark.parametrize("command", [("train", *SMALL, *BPE), ("generate", "--model", "model")])
@pytest.mark.usefixtures("model")
def test_an_error_for_a_missing_bpe_extra_says_what_to_run(microgpt, monkeypatch, command) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    error = refused(microgpt(*command))
    assert "subword tokens require the bpe extra (" in error
    assert error.endswith("run: pip install 'microgpt-lib[bpe]'")


@pytest.mark.usefixtures("names")
def test_character_models_do_not_need_the_bpe_extra(microgpt, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    ok(microgpt("train", *SMALL))
    assert len(ok(microgpt("generate", "-n", "3")).stdout.splitlines()) == 3
