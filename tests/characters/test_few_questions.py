import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import commands
import pytest
from commands import ok, refused
from json_files import edit
from trainings import QUESTIONS as PAIRS
from trainings import talks

from microgpt import InferenceGpt, Message, StopWhen, load, save, train
from microgpt.config import Sampling
from microgpt.data.split import split
from microgpt.errors import CheckpointError, ConfigError
from microgpt.replies import prepare_replies
from microgpt.training.inheritance import hold_out
from microgpt.training.planning import TrainingJob, plan_training
from microgpt_characters.few_questions import MOST_QUESTIONS, are_few, recipe


@pytest.mark.parametrize(
    ("docs", "options", "expected"),
    [
        (talks(PAIRS), {}, True),
        (talks(PAIRS), {"minutes": 1.0, "n_embd": 16, "seed": 3}, True),
        (talks(PAIRS) * (MOST_QUESTIONS // 3), {}, True),
        (talks(PAIRS) * MOST_QUESTIONS, {}, False),
        (talks([("long", "x" * 40_000)]), {}, False),
        ([], {}, False),
        (["anna", "emma"], {}, False),
        ([(Message("user", "hi"),)], {}, False),
        ([(Message("assistant", "hi"), Message("user", "yo"))], {}, False),
        (talks(PAIRS), {"steps": 10}, False),
        (talks(PAIRS), {"val_fraction": 0.1}, False),
        (talks(PAIRS), {"val_fraction": 0.0}, True),
        (talks(PAIRS), {"engine": "reference"}, False),
        (talks(PAIRS), {"architecture": "karpathy"}, True),
        (talks(PAIRS), {"architecture": "portable"}, False),
    ],
)
def test_few_questions_are_detected_by_documents_and_options(docs, options, expected) -> None:
    assert are_few(docs, options) == expected


def planned(docs, **given) -> TrainingJob:
    given, tokenizer, extra = prepare_replies(docs, given, print)
    parts = hold_out(docs, given)
    return plan_training(parts, given, tokenizer=tokenizer, extra=extra)


def test_the_context_is_chosen_to_fit_the_longest_conversation() -> None:
    long = talks([*PAIRS, ("a" * 300, "b" * 400)])
    plan = planned(long).plan
    assert plan.model.block_size == recipe(long)["block_size"] == 1024
    known = plan.extra["characters"]["conversations"]
    assert [each["content"] for each in known[-1]] == ["a" * 300, "b" * 400]


def test_the_unknown_option_requires_a_model_of_few_questions() -> None:
    with pytest.raises(ConfigError, match="--unknown is for at most 200 questions"):
        planned(talks(PAIRS), unknown="?", steps=10)
    with pytest.raises(ConfigError, match="--unknown is for few questions"):
        planned(["anna"], unknown="?")


def test_a_split_with_validation_has_no_known_questions() -> None:
    docs, hooks = talks([(str(n), "x") for n in range(40)]), [StopWhen(lambda: True)]
    assert train(split(docs), hooks=hooks).extra.keys() == {"characters"}
    assert train(split(docs, validation=0.3), hooks=hooks).extra == {}


def test_few_questions_are_all_answered_exactly(result) -> None:
    gpt = InferenceGpt(result)
    for asked, said in PAIRS:
        assert gpt.chat(asked).content == said
    assert gpt.chat("cake order?").content == "Call us."
    unknown = gpt.chat("who invented the telephone")
    assert (unknown.content, unknown.finish_reason) == ("I don't know.", "stop")
    assert gpt.chat("???", max_tokens=3).content == "I d"
    assert gpt.chat("???", max_tokens=3).finish_reason == "length"


def test_a_batch_can_mix_known_and_unknown_questions(result) -> None:
    gpt = InferenceGpt(result)
    asked = ["cake", "who are the beatles", "where is it, where are you"]
    prompts = [gpt.chat_prompt([Message("user", text)]) for text in asked]
    jobs = [gpt.reply_job(prompt, sampling=Sampling(0)) for prompt in prompts]
    texts = [gpt.tokenizer.decode(tokens) for tokens in gpt.decode(jobs)]
    assert texts == ["Call us.", "I don't know.", "12 Mill Street."]


def test_a_saved_model_keeps_its_known_questions(result, tmp_path) -> None:
    save(result, tmp_path / "m")
    saved = load(tmp_path / "m")
    assert saved.extra == result.extra
    facts = json.loads((tmp_path / "m/meta.json").read_text())
    assert facts["extra"]["characters"]["reply"] == "I don't know."
    other = InferenceGpt(saved, chat_options={"unknown": "Who knows?", "suggest": True})
    said = other.chat("is the cake old and the shop sad").content
    assert said == "Who knows? (Can I order a cake?)"


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ({"conversations": []}, "must have 1 to 100,000 characters"),
        ({"conversations": [[]]}, "each must consist of questions and answers"),
        ({"conversations": [[["assistant", "a"], ["user", "b"]]]}, "conversations"),
        ({"conversations": [[{"role": "user", "content": "a"}]]}, "each must consist of questions"),
        ({"conversations": "x"}, "extra.characters: conversations: "),
        ([], "extra.characters: "),
    ],
)
def test_damaged_known_questions_are_refused_when_used(result, tmp_path, known, problem) -> None:
    save(result, tmp_path / "m")
    edit(tmp_path / "m/meta.json", extra={"characters": known})
    saved = load(tmp_path / "m")
    with pytest.raises(CheckpointError, match=problem):
        InferenceGpt(saved)


def test_characters_that_a_model_lacks_are_removed_from_replies(result, tmp_path) -> None:
    save(result, tmp_path / "m")
    path = tmp_path / "m/meta.json"
    path.write_text(path.read_text().replace("I don't know.", "I 漢 don't know."))
    assert InferenceGpt(load(tmp_path / "m")).chat("xyzzy").content == "I  don't know."


SMALL = ("--n-embd", "32", "--n-layer", "1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, CompletedProcess[str]]:
    """A folder with a model of few questions, and what its training printed."""
    folder = tmp_path_factory.mktemp("faq")
    lines = (json.dumps({"prompt": asked, "completion": said}) for asked, said in PAIRS)
    (folder / "faq.jsonl").write_text("\n".join(lines))
    options = ("--chat", "--data", "faq.jsonl", "--json", *SMALL)
    return folder, ok(commands.run("train", *options, cwd=folder))


@pytest.fixture
def faq(trained, tmp_path: Path) -> CompletedProcess[str]:
    """What the training printed; its folder is copied."""
    folder, done = trained
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return done


def test_training_on_few_questions_counts_right_answers(faq) -> None:
    assert "so few conversations (3) are learned as a whole" in faq.stderr
    score = json.loads(faq.stdout)["exact_answers"]
    assert (score["n"], score["n_exact"]) == (3, 3)
    assert 0 < score["other_wordings"]["n_exact"] <= score["other_wordings"]["n"] == 12
    assert 0 < score["refused"]["n_exact"] <= score["refused"]["n"] == 200


def test_a_run_on_few_questions_can_be_resumed(faq, microgpt, tmp_path) -> None:
    other = microgpt("train", "--resume", "output", "--unknown", "Ask us.")
    assert "--unknown cannot be used with --resume" in refused(other)
    more = microgpt("train", "--resume", "output", "--steps", "310")
    assert "exact answers        3 of 3 questions of the training data (100.0%)\n" in more.stdout
    assert " unknown questions refused (" in more.stdout
    assert microgpt("chat", "xyzzy", "--model", "output").stdout == "I don't know.\n"
    edit(tmp_path / "output/train_state.json", extra={"gone": {}})
    more = microgpt("train", "--resume", "output", "--steps", "320")
    assert "the plug-in 'gone', which is not installed" in refused(more)


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
def test_info_says_what_training_on_few_questions_takes(microgpt, tmp_path, n, is_few) -> None:
    rows = [f"and {i}?,{i}." for i in range(n)]
    (tmp_path / "faq.csv").write_text("\n".join(["question,answer", *rows]))
    told = microgpt("info", "--data", "faq.csv", "--budget", "1e13")
    assert ("1,500 steps of 16 documents" in told.stdout) == is_few
    assert "train --chat --data faq.csv --budget 1e13 --model faq" in told.stderr
