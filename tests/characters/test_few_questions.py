import json

import pytest
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
