"""Conversations of the grammar: every answer right, nothing held out seen, short enough."""

import calendar
import hashlib
import json
import re
from collections import Counter, defaultdict
from itertools import islice
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.data.chat_truncation import fit_conversation
from microgpt.data.documents import load_conversations
from microgpt.data.tokenizer import CharTokenizer, Message
from microgpt.errors import ConfigError
from microgpt.synthetic_chat import ALPHABET, MAX_TOKENS, conversations, json_line
from microgpt.synthetic_chat.draw import ChatSplit, Exchange
from microgpt.synthetic_chat.tasks import names, words

SPLITS = get_args(ChatSplit)
N = 4000  # conversations that are looked at
UNKNOWN = "i don't know."
BY_HEART = {"small talk", "days", "months", "opposites", "capitals"}
WITH_FILLERS = {
    "addition", "subtraction", "comparison", "spelling", "reversing", "length", "letters",
    "memory", "outside",
}  # fmt: skip
KNOWN = {*names().seen, *names().held_out, *words("common").seen, *words("common").held_out}
DAYS = [name.lower() for name in calendar.day_name]
MONTHS = [name.lower() for name in calendar.month_name[1:]]
KNOWN_BY_HEART = {
    ("opposites", "hot"): "cold", ("opposites", "cold"): "hot", ("opposites", "up"): "down",
    ("capitals", "france"): "paris", ("capitals", "japan"): "tokyo",
    ("capitals", "kenya"): "nairobi",
}  # fmt: skip


@pytest.fixture(scope="module")
def made() -> dict[str, list[list[Exchange]]]:
    """Conversations of each split."""
    return {split: list(conversations(split, N, seed=7)) for split in SPLITS}


def scored(made: list[list[Exchange]]) -> list[tuple[str, Exchange]]:
    """Return scored exchanges, each with all that was said before."""
    return [
        ("".join(f"{past.prompt}\n{past.reply}\n" for past in conversation[:i]), exchange)
        for conversation in made
        for i, exchange in enumerate(conversation)
        if exchange.task
    ]


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def check_words(task: str, prompt: str, reply: str) -> None:
    """Assert that some word of the question has this answer, and is no longer than a word is."""
    is_first = re.search(r"first|begin|start", prompt) is not None
    answers = {
        "spelling": lambda word: "-".join(word),
        "reversing": lambda word: "".join(reversed(word)),
        "length": lambda word: str(len(word)),
        "letters": lambda word: word[0] if is_first else word[-1],
    }
    asked = [word for word in re.findall(r"[a-z]+", prompt) if word in KNOWN]
    assert reply in {answers[task](word) for word in asked}, (prompt, reply)


def check_circle(circle: list[str], prompt: str, reply: str) -> None:
    [i] = [circle.index(word) for word in prompt.rstrip("?").split() if word in circle]
    step = -1 if "before" in prompt else 1
    assert reply == circle[(i + step) % len(circle)]


def check_memory(before: str, prompt: str, reply: str) -> None:
    """Assert that what the first message told is answered, and nothing else."""
    asks_colour = "color" in prompt
    told = re.match(r"(.+)\n(?:.* is nice\.)\n" if asks_colour else r"(.+)\n(?:hi .*!)\n", before)
    if not told:
        assert reply == UNKNOWN
        return
    said = re.fullmatch(r"you like ([a-z]+)\." if asks_colour else r"you are ([a-z]+)\.", reply)
    assert said
    assert said[1] in re.findall(r"[a-z]+", told[1])


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_is_right(made, split) -> None:
    for before, exchange in scored(made[split]):
        prompt, reply, task = exchange.prompt, exchange.reply, exchange.task
        if task in ("addition", "subtraction"):
            a, b = numbers(prompt)
            assert int(reply) == (a + b if task == "addition" else a - b)
            assert 0 <= b <= 99
            assert 0 <= a <= 99
        elif task == "comparison":
            smaller = re.search("smaller|less", prompt)
            assert int(reply) == (min if smaller else max)(numbers(prompt))
        elif task in ("spelling", "reversing", "length", "letters"):
            check_words(task, prompt, reply)
        elif task == "memory":
            check_memory(before, prompt, reply)
        elif task in ("days", "months"):
            check_circle(DAYS if task == "days" else MONTHS, prompt, reply)
        elif task == "outside":
            assert reply == UNKNOWN
        else:
            assert task in BY_HEART


def test_what_is_known_by_heart_is_right(made) -> None:
    answers = defaultdict(set)
    for split in ("train", "wordings"):
        for _, exchange in scored(made[split]):
            if exchange.task in ("opposites", "capitals"):
                filler = re.findall(r"[a-z]+", exchange.prompt.removesuffix("'s capital"))
                for word in filler:
                    if (exchange.task, word) in KNOWN_BY_HEART:
                        answers[exchange.task, word].add(exchange.reply)
    assert answers == {key: {answer} for key, answer in KNOWN_BY_HEART.items()}


def test_a_question_has_one_answer(made) -> None:
    answers = defaultdict(set)
    for split in SPLITS:
        for before, exchange in scored(made[split]):
            answers[before, exchange.prompt].add(exchange.reply)
    assert not {question for question, replies in answers.items() if len(replies) > 1}


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_has_all_the_tasks_that_can_be_new_in_it(made, split) -> None:
    counts = Counter(exchange.task for _, exchange in scored(made[split]))
    assert set(counts) == (WITH_FILLERS if split == "heldout" else WITH_FILLERS | BY_HEART)
    assert min(counts.values()) > N / 40


@pytest.mark.parametrize("split", ["heldout", "wordings"])
def test_nothing_scored_is_in_training_whatever_the_seed(made, split) -> None:
    train = {
        (before, exchange.prompt, exchange.reply)
        for seed in (0, 7)
        for before, exchange in scored(list(conversations("train", N, seed)))
    }
    alone = {(prompt.rstrip("?"), reply) for _, prompt, reply in train}
    for before, exchange in scored(made[split]):
        assert (before, exchange.prompt, exchange.reply) not in train
        if exchange.reply != UNKNOWN or exchange.task == "outside":
            assert (exchange.prompt.rstrip("?"), exchange.reply) not in alone


def test_a_pair_of_numbers_is_on_one_side_in_either_order_and_every_task(made) -> None:
    pairs = {
        split: {
            tuple(sorted(numbers(exchange.prompt)))
            for _, exchange in scored(made[split])
            if exchange.task in ("addition", "subtraction", "comparison")
        }
        for split in SPLITS
    }
    assert not pairs["heldout"] & (pairs["train"] | pairs["wordings"])


def test_a_word_that_is_held_out_is_never_said_in_training(made) -> None:
    held_out = {*names().held_out, *words("common").held_out, *words("colors").held_out}
    said = {
        word
        for conversation in made["train"]
        for exchange in conversation
        for word in re.findall(
            # what comes of reversing a word may well be another word
            r"[a-z]+",
            exchange.prompt + " " + exchange.reply * (exchange.task != "reversing"),
        )
    }
    assert not held_out & said


@pytest.mark.parametrize("split", SPLITS)
def test_conversations_are_short_and_in_a_small_alphabet(made, split) -> None:
    tokenizer = CharTokenizer(ALPHABET, is_chat=True)
    for conversation in made[split]:
        messages = [
            Message(**{key: message[key] for key in ("role", "content")})
            for message in json.loads(json_line(conversation))
        ]
        assert tokenizer.count_tokens(messages) <= MAX_TOKENS
        assert max(len(message.content) for message in messages) <= 42
        prompt = fit_conversation(messages[:-1], tokenizer, block_size=128)
        assert (prompt.tokens_dropped, prompt.unknown_characters) == (0, "")


def test_all_of_the_alphabet_is_used(made) -> None:
    assert {char for c in made["train"] for e in c for char in e.prompt + e.reply} == set(ALPHABET)


def test_lines_are_what_microgpt_reads(made, tmp_path) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_text("".join(f"{json_line(conversation)}\n" for conversation in made["train"]))
    read = load_conversations(path)
    assert len(read) == N
    assert [(m.role, m.content) for m in read[0]] == [
        message
        for exchange in made["train"][0]
        for message in (("user", exchange.prompt), ("assistant", exchange.reply))
    ]


@given(st.sampled_from(SPLITS), st.integers(0, 2**64), st.integers(1, 20))
def test_a_longer_set_begins_with_a_shorter_one(split, seed, n) -> None:
    assert list(conversations(split, n, seed)) == list(islice(conversations(split, n + 9, seed), n))


@pytest.mark.parametrize(
    ("split", "sha256"),
    [
        ("train", "27862f46f0587528c3cb7b4cf1876387f8b8655afb51b8df2837fd0eca0216a7"),
        ("heldout", "e486d566bcde86176deba33b8c8660244a6fa280efb28955a9b14861ed973472"),
        ("wordings", "da30b5af1cbfb0299ea0ae5e3b623334c351697870b7b987ee05819d34725ab6"),
    ],
)
def test_the_bytes_do_not_depend_on_the_python(split, sha256) -> None:
    lines = "".join(f"{json_line(made)}\n" for made in conversations(split, 500, 42))
    assert hashlib.sha256(lines.encode()).hexdigest() == sha256


@pytest.mark.parametrize(
    ("n", "seed", "problem"),
    [(0, 1, "conversations must be >= 1, got 0"), (1, -1, "seed must be >= 0, got -1")],
)
def test_numbers_outside_their_range_are_refused(n, seed, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        conversations("train", n, seed)
