import json
import re
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import commands
import pytest
from commands import ok, refused
from json_files import edit
from trainings import QUESTIONS as PAIRS
from trainings import talks

from microgpt import InferenceGpt, Message, StopWhen, load, load_conversations, save, train
from microgpt.config import Sampling
from microgpt.data.split import split
from microgpt.errors import CheckpointError, ConfigError
from microgpt.replies import prepare_replies
from microgpt.training.fine_tuning import hold_out
from microgpt.training.planning import TrainingJob, plan_training
from microgpt_characters.table import MOST_CHARACTERS, MOST_ROWS, is_table, known_of_table, recipe

TABLE = talks(PAIRS)
NUMBERS = talks([(f"{n}?", str(n)) for n in range(MOST_ROWS)])


@pytest.mark.parametrize(
    ("docs", "given", "expected"),
    [
        (TABLE, {"engine": "compiled"}, True),
        (TABLE, {"minutes": 1.0, "n_embd": 16, "seed": 3}, True),
        (NUMBERS, {}, True),
        ([*NUMBERS, *talks([("one more?", "x")])], {}, False),
        (talks([(f"{n}?", str(n % 9)) for n in range(MOST_ROWS + 1)]), {}, False),
        (talks([(f"{n}{end}", str(n)) for n in range(MOST_ROWS) for end in "?!"]), {}, True),
        (talks([("long", "x" * MOST_CHARACTERS)]), {}, False),
        ([], {}, False),
        (["anna", "emma"], {}, False),
        ([(Message("user", "hi"),)], {}, False),
        ([(*TABLE[0], *TABLE[1])], {}, False),
        (TABLE, {"steps": 10}, False),
        (TABLE, {"val_fraction": 0.1}, False),
        (TABLE, {"val_fraction": 0.0}, True),
        (TABLE, {"engine": "reference"}, False),
        (TABLE, {"architecture": "karpathy"}, True),
        (TABLE, {"architecture": "portable"}, False),
    ],
)
def test_only_a_small_table_is_memorised_if_options_allow_it(docs, given, expected) -> None:
    assert is_table(docs, given) == expected


def planned(docs, **given) -> TrainingJob:
    given, tokenizer, extra = prepare_replies(docs, given, print)
    return plan_training(hold_out(docs, given), given, tokenizer=tokenizer, extra=extra)


def test_the_context_and_the_table_fit_the_longest_conversation() -> None:
    long = talks([*PAIRS, ("a", "b" * 400), ("a" * 300, "b" * 400)])
    plan = planned(long).plan
    assert plan.model.block_size == recipe(long)["block_size"] == 1024
    known = plan.extra["characters"]
    assert (known["askings"][-1][0], known["replies"][-1]) == ("a" * 300, "b" * 400)


def test_a_table_with_other_wordings_requires_closer_matches() -> None:
    told: list[str] = []
    others = [(f"hours {n}?", PAIRS[0][1]) for n in range(9)]
    few, many = (known_of_table(talks(rows), "?", told.append) for rows in (PAIRS, PAIRS + others))
    message = [Message("user", "when do you open your shop")]
    assert (few.choose(message), many.choose(message)) == ((Message("user", PAIRS[0][0]),), "?")
    assert ["3 of 3 rows have no wordings" in line for line in told] == [False, True, False, False]


@pytest.mark.parametrize(("n", "steps", "least"), [(1, 3000, 0.6), (2, 2115, 0.7), (20, 945, 0.78)])
def test_rows_of_n_questions_need_fewer_steps_and_closer_matches(n, steps, least) -> None:
    docs = talks([(str(i), str(i // n)) for i in range(400)])
    assert recipe(docs)["steps"] == steps
    docs += talks([(f"not {i}", "?") for i in range(40)])  # to be refused
    assert known_of_table(docs, "?", print).threshold == pytest.approx(least)


def test_messages_are_compared_with_the_first_words_of_an_answer() -> None:
    for answer, is_known in (("no dogs " * 20, True), ("no " * 20 + "dogs", False)):
        known = known_of_table(talks([*PAIRS, ("rules?", answer)]), "?", print)
        assert (known.choose([Message("user", "dogs")]) != "?") == is_known


def test_a_reply_to_unknown_questions_needs_a_table_and_a_text() -> None:
    for docs, given in ((TABLE, {"steps": 10}), (["anna"], {})):
        with pytest.raises(ConfigError, match=r"--unknown requires a table .*; omit --unknown"):
            planned(docs, unknown="?", **given)
    with pytest.raises(ConfigError, match="--unknown must not be blank; write a reply"):
        planned(TABLE, unknown=" ")


@pytest.mark.compiled
def test_a_table_of_questions_is_not_memorised_if_some_are_held_out() -> None:
    docs, hooks = talks([(str(n), "x") for n in range(40)]), [StopWhen(lambda: True)]
    assert train(split(docs), hooks=hooks).extra.keys() == {"characters"}
    assert train(split(docs, validation=0.3), hooks=hooks).extra == {}


def test_a_table_model_gives_stored_replies_up_to_max_tokens(result) -> None:
    gpt = InferenceGpt(result)
    for asked, said in PAIRS:
        assert gpt.chat(asked).content == said
    assert gpt.chat("cake order?").content == "Call us."
    unknown = gpt.chat("who invented the telephone")
    assert (unknown.content, unknown.finish_reason) == ("I don't know.", "stop")
    assert gpt.chat("???", max_tokens=3).content == "I d"
    assert gpt.chat("???", max_tokens=3).finish_reason == "length"


def test_a_batch_can_contain_known_and_unknown_questions(result) -> None:
    gpt = InferenceGpt(result)
    asked = ["cake", "who are the beatles", "where are you?"]
    prompts = [gpt.chat_prompt([Message("user", text)]) for text in asked]
    jobs = [gpt.reply_job(prompt, sampling=Sampling(0)) for prompt in prompts]
    texts = [gpt.tokenizer.decode(tokens) for tokens in gpt.decode(jobs)]
    assert texts == ["Call us.", "I don't know.", "12 Mill Street."]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"askings": [["hi", 9, ""]]}, "a topic or a reply to other questions is missing"),
        ({"unknown": []}, "a topic or a reply to other questions is missing"),
        ({"askings": "x"}, "extra.characters: askings: "),
        ({"threshold": None}, "extra.characters: threshold: "),
    ],
)
def test_a_model_with_a_damaged_table_is_refused(result, tmp_path, changes, problem) -> None:
    save(result, tmp_path / "m")
    edit(tmp_path / "m/meta.json", extra={"characters": {**result.extra["characters"], **changes}})
    saved = load(tmp_path / "m")
    with pytest.raises(CheckpointError, match=problem):
        InferenceGpt(saved)


def test_characters_outside_the_vocabulary_are_removed_from_replies(result, tmp_path) -> None:
    save(result, tmp_path / "m")
    path = tmp_path / "m/meta.json"
    path.write_text(path.read_text().replace("I don't know.", "I 漢 don't know."))
    assert InferenceGpt(load(tmp_path / "m")).chat("xyzzy").content == "I  don't know."


SMALL = ("--n-embd", "32", "--n-layer", "1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, CompletedProcess[str]]:
    """A folder with a model trained on a table of questions, and the finished `train` process."""
    pytest.importorskip("microgpt_engine")
    folder = tmp_path_factory.mktemp("faq")
    lines = (json.dumps({"prompt": asked, "completion": said}) for asked, said in PAIRS)
    (folder / "faq.jsonl").write_text("\n".join(lines))
    options = ("--chat", "--data", "faq.jsonl", "--json", *SMALL)
    return folder, ok(commands.run("train", *options, cwd=folder))


@pytest.fixture
def faq(trained, tmp_path: Path) -> CompletedProcess[str]:
    """The finished process from the fixture `trained`, whose folder is copied to `tmp_path`."""
    folder, done = trained
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return done


def test_training_on_a_table_reports_how_many_answers_are_right(faq) -> None:
    assert "the model memorizes the table (3 questions)" in faq.stderr
    tasks = json.loads(faq.stdout)["replies"]["tasks"]
    assert tasks["questions of the training"]["n_exact"] == 3
    assert 0 < tasks["foreign questions"]["n_exact"] <= tasks["foreign questions"]["n"] == 108


def test_resuming_a_table_model_keeps_its_replies(faq, microgpt) -> None:
    other = microgpt("train", "--resume", "output", "--unknown", "Ask us.")
    assert "--unknown cannot be used with --resume" in refused(other)
    more = microgpt("train", "--resume", "output", "--steps", "310")
    assert re.search(r"^questions of the training +3 +3 +100.0%", more.stdout, re.MULTILINE)
    assert "\nforeign questions " in more.stdout
    assert microgpt("chat", "xyzzy", "--model", "output").stdout == "I don't know.\n"


@pytest.mark.usefixtures("faq")
def test_a_run_whose_plug_in_is_missing_cannot_be_resumed(microgpt, tmp_path) -> None:
    edit(tmp_path / "output/train_state.json", extra={"gone": {}})
    more = microgpt("train", "--resume", "output", "--steps", "310")
    assert "the plug-in 'gone', which is not installed" in refused(more)


def test_a_model_that_memorized_a_table_cannot_be_fine_tuned(faq, microgpt) -> None:
    tuning = ("train", "--from", "output", "--chat", "--data", "faq.jsonl", "--model", "child")
    assert "put all conversations into one file" in refused(microgpt(*tuning))
    assert "put all conversations into one file" in refused(microgpt(*tuning, "--minutes", "1"))


@pytest.mark.compiled
def test_training_on_a_table_reports_ambiguous_and_unanswered_questions(microgpt, tmp_path) -> None:
    rows = ["question,answer", "open?,at 7", "Open,at 8", "bread?,yes", "cake?,", ",no"]
    (tmp_path / "faq.csv").write_text("\n".join(rows))
    done = microgpt("train", "--chat", "--data", "faq.csv", *SMALL)
    assert "'Open' have several answers; keep one of them" in done.stderr
    assert "left out 2 exchanges without question or answer; the first is in line 5" in done.stderr


def test_other_wordings_of_a_table_question_get_the_same_answer(tmp_path) -> None:
    rows = "Question,Answer,Wordings\nopen?,at 7,when | hours|\ncake?,no,\n"
    (tmp_path / "faq.csv").write_text(rows)
    talks = [tuple(m.content for m in talk) for talk in load_conversations(tmp_path / "faq.csv")]
    assert talks == [("open?", "at 7"), ("when", "at 7"), ("hours", "at 7"), ("cake?", "no")]
