"""Plug-in for `microgpt.replies` that trains and runs models of characters and question tables."""

import json
from collections.abc import Mapping, Sequence
from itertools import cycle
from random import Random
from typing import Any

from pydantic import ValidationError

from microgpt import (
    ROLES,
    CheckpointError,
    ConfigError,
    Document,
    Given,
    Item,
    Message,
    Preparation,
    Tell,
    TextFile,
    char_tokenizer,
    count,
    first_problem,
    plain,
)
from microgpt_characters.character_file import read_character
from microgpt_characters.character_reader import SUFFIX
from microgpt_characters.conversations import Drawing, general_questions
from microgpt_characters.knowledge import Knowledge, Question
from microgpt_characters.matching import FUNCTION, RULES
from microgpt_characters.pattern import draw
from microgpt_characters.table import is_table, known_of_table, recipe

SEED = 1  # seed for drawing the off-topic questions of a test
DEFAULT_REPLY = "I don't know."


def prepare(
    docs: Sequence[Document], given: Given, tell: Tell, file: TextFile | None
) -> Preparation | None:
    """Return settings, tokenizer and knowledge for a character or a table; None for other data."""
    unknown: str | None = given.get("unknown")
    if unknown is not None and not unknown.strip():
        raise ConfigError("--unknown must not be blank; write a reply to unknown questions")
    added = {"val_fraction": 0.0, "test_fraction": 0.0}
    if file and file.path.suffix.lower() == SUFFIX:
        if unknown is not None:
            raise ConfigError("--unknown is for tables; write unknown = ['…'] into the file")
        known = _known_of_character(file, tell)
    elif is_table(docs, given) and not (file and file.is_chat_export):
        known, added = known_of_table(docs, unknown or DEFAULT_REPLY, tell), added | recipe(docs)
    else:
        return None
    characters = "".join((*known.unknown, *map(chr, range(32, 127))))
    tokenizer = char_tokenizer([*docs, (Message("user", characters),)])  # encodes any ASCII message
    chosen = None if given.get("tokenizer") == "bpe" else tokenizer
    return Preparation({**added, **given}, chosen, known.model_dump(mode="json"))


def _known_of_character(file: TextFile, tell: Tell) -> Knowledge:
    drawing = Drawing(character := read_character(file))
    tell(f"drawing conversations about {count(len(character.topics), 'topic')}")
    for line in character.advice():
        tell(line)
    topics = character.all_topics
    before = {id(each): i for i, topic in enumerate(topics) for each in topic.follow}
    follows = [*(before.get(id(topic)) for topic in topics), None]
    needs = [[i for i, t in enumerate(topics) if t.remember in topic.needs] for topic in topics]
    askings, replies = drawing.askings()
    return Knowledge(
        askings=askings, replies=replies, follows=follows, needs=[*needs, []],
        unknown=character.unknown, threshold=character.threshold, is_table=False,
        tests=[*drawing.questions()], name=character.name, greeting=character.greeting,
    )  # fmt: skip


def hook(extra: Any) -> Knowledge:
    """Return the Knowledge in `extra`, a part of meta.json; raise CheckpointError if damaged."""
    try:
        found = Knowledge.model_validate_json(json.dumps(extra))
    except ValidationError as error:
        raise CheckpointError(f"extra.characters: {first_problem(error)}") from error
    n = min(map(len, (found.replies, found.follows, found.needs)))
    if not found.unknown or any(not 0 <= asking.topic < n for asking in found.askings):
        raise CheckpointError("extra.characters: a topic or a reply to other questions is missing")
    return found


def tests(extra: Any) -> list[Item]:
    """Return the test items of a model: questions about its topics, and off-topic questions."""
    known, rng = hook(extra), Random(SEED)
    foreign = (plain(draw(rng, pattern)) for pattern in general_questions())
    questions = (Question("foreign questions", (text,), known.unknown) for text in foreign)
    return [
        Item(each.task, talk, len(each.messages), n, "question", tuple(each.replies))
        for n, each in enumerate((*known.tests, *questions), start=1)
        for talk in [tuple(map(Message, cycle(ROLES), (*each.messages, each.replies[0])))]
    ]


def page_facts(extra: Any) -> Mapping[str, Any]:
    """Return the data with which a page's JavaScript chooses the same replies as `Knowledge`."""
    known = hook(extra)
    rules = {**RULES, "function": FUNCTION[known.is_table]}
    return {**known.model_dump(exclude={"tests"}), "matching": rules}
