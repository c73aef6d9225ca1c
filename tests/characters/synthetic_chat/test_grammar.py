"""Conversations of the grammar: every answer right, nothing held out seen, short enough."""

import calendar
import hashlib
import re
from collections.abc import Iterator
from typing import get_args

import pytest

from microgpt import load_conversations
from microgpt.data.context import fit_conversation
from microgpt.data.documents import bundled
from microgpt.data.tokenizer import CharTokenizer
from microgpt_characters.synthetic_chat import (
    ALPHABET,
    MAX_TOKENS,
    conversations,
    json_line,
    messages,
)
from microgpt_characters.synthetic_chat.draw import ChatSplit, Exchange
from microgpt_characters.synthetic_chat.tasks import names, words

SPLITS = get_args(ChatSplit)
N = 1500  # conversations that are looked at
UNTOLD = "i don't know."
OUTSIDE = "i do sums to 99 and spelling."
FIRST = re.compile("lead|first|1st|begin|start|open|initial|front")
BACK = re.compile(  # X is the day or month that is asked about
    "(?<!after )X (comes after|follows|is after|is right after)|followed by X|(?<!X is )before"
    "|(yesterday|last month)(?! was)|X\\W+(and |so )?(yesterday|last month)"
    "|preced|previous|prior|minus"
)
KNOWN = {*names().seen, *names().held_out, *words("common").seen, *words("common").held_out}
DAYS = [name.lower() for name in calendar.day_name]
MONTHS = [name.lower() for name in calendar.month_name[1:]]
NOTATIONS = {
    "addition": r"(\d+) \+ (\d+) = (\d+)", "subtraction": r"(\d+) - (\d+) = (-?\d+)",
    "multiplication": r"(\d+) x (\d+) = (\d+)",
    "comparison": r"(?:max|min)\((\d+), (\d+)\) = (\d+)",
}  # fmt: skip


@pytest.fixture(scope="module")
def made() -> dict[str, list[list[Exchange]]]:
    """Conversations of each split without typing errors and random words, for regexes to read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("microgpt_characters.synthetic_chat.draw.TYPO", 0)
        patch.setattr("microgpt_characters.synthetic_chat.draw.REWORDED", 0)
        patch.setattr("microgpt_characters.synthetic_chat.draw.DISTRACTION", 0)
        return {split: list(conversations(split, N, seed=7)) for split in SPLITS}


def scored(made: list[list[Exchange]]) -> list[tuple[str, Exchange]]:
    """Return scored exchanges, each with all that was said before."""
    return [
        ("".join(f"{past.prompt}\n{past.reply}\n" for past in conversation[:i]), exchange)
        for conversation in made
        for i, exchange in enumerate(conversation)
        if exchange.task
    ]


def questions(made: list[list[Exchange]]) -> Iterator[Exchange]:
    """Yield exchanges of one question each, also those of a message that asks two."""
    return (part for conversation in made for each in conversation for part in each.parts or [each])


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def check_words(task: str, prompt: str, reply: str) -> None:
    """Assert that some word of the question has this answer, and is no longer than a word is."""
    asked = [word for word in re.findall(r"[a-z]+", prompt) if word in KNOWN]

    def asks_for_first(word: str) -> bool:
        return bool(FIRST.search(re.sub(rf"\b{word}\b", "", prompt)))

    answers = {
        "spelling": lambda word: "-".join(word),
        "reversing": lambda word: f"{word}: {''.join(reversed(word))}",
        "length": lambda word: f"{word}: {len(word)}",
        "letters": lambda word: f"{word}: {word[0 if asks_for_first(word) else -1]}",
    }
    assert reply in {answers[task](word) for word in asked}, (prompt, reply)


def check_circle(circle: list[str], prompt: str, reply: str) -> None:
    [word] = [word for word in re.findall("[a-z]+", prompt) if word in circle]
    step = -1 if BACK.search(prompt.replace(word, "X")) else 1
    assert reply == circle[(circle.index(word) + step) % len(circle)], prompt


def check_numbers(task: str, prompt: str, reply: str) -> None:
    """Assert that the question has two small numbers, and the reply repeats them and is right."""
    asked, (a, b, answer) = numbers(prompt), map(int, re.fullmatch(NOTATIONS[task], reply).groups())
    assert asked in ([[a, b], [b, a]] if task == "subtraction" else [[a, b]])
    if a != b and not re.search("difference|differ|apart|far|between", prompt):
        assert not re.search(rf"\b{b} ?(-|minus|take away) ?{a}\b", prompt), (prompt, reply)
        assert not re.search(rf"\b{a} ([a-z]+ )?([a-z]+ )?from {b}\b", prompt), prompt
        assert not re.search(rf"\b{a} (less|fewer|smaller) than {b}\b", prompt), prompt
    larger = re.search("big|large|greate|high|more|max", prompt)
    smaller = re.search(r"small|low|less|least|few|\bmin", prompt)
    right = {
        "addition": a + b, "subtraction": a - b, "multiplication": a * b,
        "comparison": max(a, b) if larger else min(a, b),
    }  # fmt: skip
    assert 0 <= min(a, b) <= max(a, b) <= (12 if task == "multiplication" else 99)
    assert answer == right[task], prompt
    if task == "comparison":
        assert (larger is None) != (smaller is None), prompt
        assert reply.startswith("max" if larger else "min")


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_of_the_grammar_is_correct(made, split) -> None:
    for exchange in questions(made[split]):
        prompt, reply, task = exchange.prompt, exchange.reply, exchange.task
        if task in ("addition", "subtraction", "multiplication", "comparison"):
            check_numbers(task, prompt, reply)
        elif task in ("spelling", "reversing", "length", "letters"):
            check_words(task, prompt, reply)
        elif task in ("days", "months"):
            check_circle(DAYS if task == "days" else MONTHS, prompt, reply)
        elif task == "outside":
            assert reply == OUTSIDE
            assert not is_easy_sum(prompt), prompt
        else:
            assert task in {"small talk", "opposites", "capitals", "memory", None}


def is_easy_sum(prompt: str) -> bool:
    """Return whether a message is nothing but a sum that the assistant can work out."""
    found = re.fullmatch(r"(?:[a-z', ]* is )?(\d+) ?(\+|-|plus|minus) ?(\d+)[a-z ]*\W*", prompt)
    if not found:
        return False
    a, b = int(found[1]), int(found[3])
    return max(a, b) <= 99


@pytest.mark.parametrize("split", ["heldout", "wordings"])
def test_no_scored_question_is_in_the_training_set(made, split) -> None:
    train = {
        (before, exchange.prompt, exchange.reply)
        for seed in (0, 7)
        for before, exchange in scored(list(conversations("train", N, seed)))
    }
    alone = {(prompt.rstrip("?"), reply) for _, prompt, reply in train}
    for before, exchange in scored(made[split]):
        assert (before, exchange.prompt, exchange.reply) not in train
        if exchange.reply != UNTOLD:
            assert (exchange.prompt.rstrip("?"), exchange.reply) not in alone


def test_a_held_out_word_never_appears_in_training(made) -> None:
    held_out = {*names().held_out, *words("common").held_out, *words("colors").held_out}
    said = {
        word
        for each in questions(made["train"])
        # What comes of reversing a word may well be another word.
        for word in re.findall("[a-z]+", f"{each.prompt} {each.reply * (each.task != 'reversing')}")
    }
    dressed = {
        word
        for split in ("train", "basics")
        for conversation in conversations(split, N, seed=3)  # with typing errors and random words
        for exchange in conversation
        for word in re.findall("[a-z]+", exchange.prompt)
    }
    assert not held_out & (said | dressed)


@pytest.mark.parametrize("split", SPLITS)
def test_conversations_are_short_and_use_a_small_alphabet(made, split) -> None:
    tokenizer = CharTokenizer(ALPHABET, is_chat=True)
    for turns in map(messages, made[split]):
        assert tokenizer.count_tokens(turns) <= MAX_TOKENS
        prompt = fit_conversation(turns[:-1], tokenizer, block_size=256)
        assert (prompt.tokens_dropped, prompt.unknown_characters) == (0, "")


@pytest.mark.parametrize(
    ("split", "sha256"),
    [
        ("basics", "7b2e681104eff7c0ad254bc3ed33c8ef728d0d8dbca38c9c7f9e246543a1dc98"),
        ("wordings", "5abb39c4e9283f837ca6e6f19ce6096725295e117c384ca416bc76cc9bb0d909"),
    ],
)
def test_every_python_version_generates_the_same_bytes(split, sha256) -> None:
    lines = "".join(f"{json_line(made)}\n" for made in conversations(split, 500, 42))
    assert hashlib.sha256(lines.encode()).hexdigest() == sha256


@pytest.mark.parametrize(
    ("name", "split", "seed"), [("chat.jsonl", "train", 7), ("chat_heldout.jsonl", "heldout", 43)]
)
def test_the_bundled_conversations_come_from_the_grammar(name, split, seed) -> None:
    written = "".join(f"{json_line(each)}\n" for each in conversations(split, 4000, seed))
    assert bundled(name).read_text() == written
    assert len(load_conversations(bundled(name))) == 4000
    assert set(written) >= {*ALPHABET} - {*"×÷"}
    assert "\\u00d7" in written  # what is asked with one file can be read with the other
    assert "\\u00f7" in written
