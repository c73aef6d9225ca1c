import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import commands
import pytest
from commands import ok, refused
from json_files import edit

PAIRS = {
    "When are you open?": "Every day from 7 to 18.",
    "Do you have bread without gluten?": "Yes, rice bread on Tuesdays.",
    "Can I order a birthday cake?": "Call us two days before.",
    "Where is the bakery?": "At 12 Mill Street.",
}
SMALL = ("--n-embd", "32", "--n-layer", "1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, CompletedProcess[str]]:
    """A folder with a model of few questions, and what its training printed."""
    folder = tmp_path_factory.mktemp("faq")
    lines = (json.dumps({"prompt": asked, "completion": said}) for asked, said in PAIRS.items())
    (folder / "faq.jsonl").write_text("\n".join(lines))
    options = ("--chat", "--data", "faq.jsonl", *SMALL)
    return folder, ok(commands.run("train", *options, cwd=folder))


@pytest.fixture
def faq(trained, tmp_path: Path) -> CompletedProcess[str]:
    """What the training printed; its folder is copied."""
    folder, done = trained
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return done


def test_a_model_of_few_questions_answers_all_of_them(faq, microgpt) -> None:
    assert "so few conversations (4) are learned as a whole" in faq.stderr
    assert "exact answers        4 of 4 questions of the training data (100.0%)\n" in faq.stdout
    assert " unknown questions refused (" in faq.stdout
    lines = "\n".join([*PAIRS, "cakes for a bithday?", "how old are you"])
    said = microgpt("chat", "--temperature", "9", stdin=lines)
    assert said.stdout.splitlines() == [
        *PAIRS.values(), "Call us two days before.", "I don't know."
    ]  # fmt: skip


def test_a_run_on_few_questions_can_be_resumed(faq, microgpt, tmp_path) -> None:
    other = microgpt("train", "--resume", "output", "--unknown", "Ask us.")
    assert "--unknown cannot be used with --resume" in refused(other)
    more = microgpt("train", "--resume", "output", "--steps", "310")
    assert "exact answers        4 of 4" in more.stdout
    assert microgpt("chat", "xyzzy", "--model", "output").stdout == "I don't know.\n"
    edit(tmp_path / "output/train_state.json", extra={"gone": {}})
    more = microgpt("train", "--resume", "output", "--steps", "320")
    assert "the plug-in 'gone', which is not installed" in refused(more)


def test_the_json_output_counts_answers_to_reworded_questions(faq, microgpt) -> None:
    train = ("train", "--chat", "--data", "faq.jsonl", *SMALL, "--json", "--model", "b")
    score = json.loads(microgpt(*train).stdout)["exact_answers"]
    assert (score["n"], score["n_exact"]) == (4, 4)
    assert 0 < score["other_wordings"]["n_exact"] <= score["other_wordings"]["n"] == 16
    assert 0 < score["refused"]["n_exact"] <= score["refused"]["n"] == 200


def test_fine_tuning_a_model_of_few_questions_is_refused(faq, microgpt) -> None:
    tuning = ("train", "--from", "output", "--chat", "--data", "faq.jsonl", "--model", "child")
    assert "put all conversations into one file" in refused(microgpt(*tuning))
    assert "put all conversations into one file" in refused(microgpt(*tuning, "--minutes", "1"))


def test_train_reports_ambiguous_and_unanswered_questions(microgpt, tmp_path) -> None:
    rows = ["question,answer", "open?,at 7", "open?,at 8", "bread?,yes", "cake?,", ",no"]
    (tmp_path / "faq.csv").write_text("\n".join(rows))
    done = microgpt("train", "--chat", "--data", "faq.csv", *SMALL)
    assert "1 question has several answers; keep one" in done.stderr
    assert "left out 2 final user messages without a reply" in done.stderr
    done = microgpt("train", "--chat", "--data", "faq.csv", "--steps", "3", "--force", *SMALL)
    assert "can be learned as a whole, and other questions refused; omit --steps" in done.stderr


@pytest.mark.parametrize(("n", "is_few"), [(200, True), (201, False)])
def test_info_and_train_agree_on_what_are_few_questions(microgpt, tmp_path, n, is_few) -> None:
    talks = [
        [{"role": "user", "content": f"and {i}?"}, {"role": "assistant", "content": f"{i}."}]
        for i in range(n)
    ]
    (tmp_path / "chat.jsonl").write_text("\n".join(map(json.dumps, talks)))
    told = microgpt("info", "--data", "chat.jsonl", "--budget", "1e13")
    assert ("1,500 steps of 16 documents" in told.stdout) == is_few
    assert "train --chat --data chat.jsonl --budget 1e13 --model chat" in told.stderr
    train = ("train", "--chat", "--data", "chat.jsonl", "--budget", "1e9")
    assert ("learned as a whole" in microgpt(*train).stderr) == is_few
