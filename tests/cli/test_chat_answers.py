"""At its end, the training of a chat model says what the model can do."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from microgpt import Message, ModelConfig, TrainConfig, train
from microgpt.data.split import Split, split
from microgpt_cli.chat_answers import answer_questions

SHAPE = ("--n-embd", "16", "--n-layer", "1", "--block-size", "32")
QUICK = ("--chat", *SHAPE, "--steps", "2", "--model", "a")


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """A file with 40 conversations of one exchange."""
    pairs = [{"prompt": f"say {a}{b}", "completion": a} for a in "abcdefgh" for b in "vwxyz"]
    path = tmp_path / "talks.jsonl"
    path.write_text("\n".join(map(json.dumps, pairs)))
    return path


def exact(done) -> str:
    """Return the line with the share of exact answers."""
    assert done.returncode == 0, done.stderr
    (line,) = (one for one in done.stdout.splitlines() if one.startswith("exact answers "))
    return line.removeprefix("exact answers").strip()


def test_train_reports_replies_to_held_out_questions(microgpt, talks) -> None:
    done = microgpt("train", "--data", talks, *QUICK, "--val-fraction", "0.5", "--json")
    facts = json.loads(done.stdout)
    assert facts["exact_answers"]["held_out"] is True
    assert 0 < facts["exact_answers"]["n"] < 40
    assert [set(reply) for reply in facts["replies"]] == 2 * [{"user", "assistant"}]
    asked = {pair["prompt"] for pair in map(json.loads, talks.read_text().splitlines())}
    assert {reply["user"] for reply in facts["replies"]} < asked


def asked_of(parts: Split) -> list[str]:
    """Return the questions that the training of a small model ends with."""
    model = ModelConfig(n_embd=8, n_head=1, block_size=16)
    result = train(parts, model=model, config=TrainConfig(steps=1))
    result = replace(result, plan=replace(result.plan, input=Path("talks.jsonl")))
    return [answer.item.prompt for answer in answer_questions(result, parts).answers]


def test_no_held_out_question_is_in_the_training_data() -> None:
    talks = [
        (*one, Message("user", str(n)), Message("assistant", "b"))
        for n in range(40)
        for one in [(Message("user", f"no {n % 4}"), Message("assistant", f"{n % 3}"))]
    ]
    parts = split(talks, validation=0.5)
    new = {talk[2].content for talk in parts.validation}
    read = [(Message("user", f"{one.content} "), reply) for one, reply, *_ in parts.train]
    later = [talk[2:] for talk in parts.train]  # read without the first messages
    assert {*asked_of(replace(parts, validation=(*parts.validation, *read, *later)))} == new


def test_questions_that_the_parent_was_trained_on_are_marked(microgpt, talks) -> None:
    assert microgpt("train", "--data", talks, *QUICK[:-1], "parent").returncode == 0
    more = ("--chat", "--from", "parent", "--steps", "2", "--model", "b")
    child = microgpt("train", "--data", talks, *more, "--val-fraction", "0.5")
    assert exact(child).endswith("(contamination 100 %)")


def test_training_questions_are_used_if_none_are_held_out(microgpt, talks) -> None:
    done = microgpt("train", "--data", talks, *QUICK)
    assert "of 40 questions of the training data (" in exact(done)
    shown = done.stdout.split("--- replies (temperature 0) ---\n")[1].splitlines()
    assert [line.split(":")[0] for line in shown] == 2 * ["user", "assistant"]
    assert shown[0] == "user:      say av"
