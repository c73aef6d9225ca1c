"""What a model of a character or a table knows: the plug-in of `microgpt.replies`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from random import Random
from string import ascii_letters, digits, punctuation
from typing import Any

from pydantic import TypeAdapter, ValidationError

from microgpt import (
    CheckpointError,
    ConfigError,
    Conversation,
    Document,
    Given,
    Item,
    Message,
    Preparation,
    Sampling,
    Tell,
    TextFile,
    char_tokenizer,
    count,
    first_problem,
    plain,
)
from microgpt_characters.conversations import Drawing, Question, general_questions
from microgpt_characters.grammar import read_character
from microgpt_characters.matching import NUMBER, RULES, Asking, Matcher
from microgpt_characters.pattern import draw
from microgpt_characters.reader import SUFFIX
from microgpt_characters.table import THRESHOLD, answers_of, is_table, recipe

SEED = 1  # of the foreign questions of a test
DEFAULT_REPLY = "I don't know."


@dataclass(frozen=True)
class Knowledge:
    """The askings that a model knows, and what it says to other messages."""

    askings: tuple[Asking, ...]
    replies: tuple[str, ...]  # of each topic; empty: its askings are foreign questions
    unknown: tuple[str, ...]  # replies to other messages
    threshold: float  # least similarity of a message that is known; 0: the model decides
    is_table: bool  # whether a message must clearly mean one topic
    seen: tuple[Question, ...]
    held_out: tuple[Question, ...] = ()
    follows: tuple[int | None, ...] = ()  # of each topic: the one whose reply it follows
    needs: tuple[tuple[int, ...], ...] = ()  # of each topic: those that the model reads before it

    @property
    def sampling(self) -> Sampling | None:
        """The answers of a table are learned by heart."""
        return Sampling(temperature=0) if self.is_table else None

    @cached_property
    def matcher(self) -> Matcher:
        """What finds the asking that a message means."""
        return Matcher(self.askings, self.replies)

    def choose(self, messages: Sequence[Message]) -> Conversation | str | None:
        """Return what the model reads, or else the reply to a message that is not known.

        The model reads the asking that is meant, or the message if it fills a slot; and before it,
        only the exchanges that its topic needs.
        """
        if not messages or messages[-1].role != "user":
            return None
        asked = [i for i, message in enumerate(messages) if message.role == "user"]
        if not self.threshold:
            return tuple(_folded(each) if i in asked else each for i, each in enumerate(messages))
        meant: list[Asking | None] = []
        for i in asked:
            before = meant[-1].topic if meant and meant[-1] else None
            meant.append(self._meant(messages[i].content, before))
        if not (last := meant[-1]):
            text = messages[-1].content
            return self.unknown[sum(map(ord, text)) % len(self.unknown)]
        topics = [asking.topic if asking else None for asking in meant]
        needed = self.needs[last.topic] if self.needs else ()
        read: list[Message] = []
        latest = {topic: n for n, topic in enumerate(topics[:-1]) if topic in needed}
        for n in (*sorted(latest.values()), len(meant) - 1):
            i, asking = asked[n], meant[n]
            assert asking
            is_filled = asking.n_open or NUMBER in asking.text.split()
            read.append(_folded(messages[i]) if is_filled else Message("user", asking.text))
            read += messages[i + 1 : asked[n + 1]] if n + 1 < len(asked) else ()
        return tuple(read)

    def _meant(self, text: str, before: int | None) -> Asking | None:
        """Return the asking that a message means; None if it is not known.

        Args:
            before: the topic of the message before it.
        """
        known = [
            (match.similarity, self.askings[match.asking])
            for match in self.matcher.rank(text)
            if match.similarity >= self.threshold
        ]
        if self.follows:
            known = [each for each in known if self.follows[each[1].topic] in (None, before)]
        same = [(1.0, each) for each in self.askings if each.text == text and self.is_table]
        best = same or [each for each in known if each[0] == known[0][0]]
        is_clear = len({asking.topic for _, asking in best}) == 1
        if not best or (self.is_table and not is_clear) or not self.replies[best[0][1].topic]:
            return None
        return best[0][1]


def prepare(
    docs: Sequence[Document], given: Given, tell: Tell, file: TextFile | None
) -> Preparation | None:
    """Return what training needs on the conversations of a character, or on a table."""
    unknown: str | None = given.get("unknown")
    if unknown is not None and not unknown.strip():
        raise ConfigError("--unknown must not be blank; write a reply to unknown questions")
    if file and file.path.suffix.lower() == SUFFIX:
        known, settings = _of_character(file, tell), {"val_fraction": 0.0, "test_fraction": 0.0}
    elif is_table(docs, given) and not (file and file.is_chat_export):
        known, settings = _of_table(docs, unknown or DEFAULT_REPLY, tell), {**recipe(docs)}
        unknown = None
    else:
        return None
    if unknown is not None:
        raise ConfigError("--unknown is for tables; write unknown = ['…'] into the file instead")
    characters = f"{''.join(known.unknown)} {ascii_letters}{digits}{punctuation}"
    tokenizer = char_tokenizer([*docs, (Message("user", characters),)])  # also for other wordings
    record = json.loads(json.dumps(asdict(known)))
    is_bpe = given.get("tokenizer") == "bpe"
    return Preparation({**settings, **given}, None if is_bpe else tokenizer, record)


def hook(extra: Any) -> Knowledge:
    """Return what a model knows; raise CheckpointError if its record is damaged."""
    try:
        found = TypeAdapter(Knowledge).validate_json(json.dumps(extra), strict=True)
    except ValidationError as error:
        raise CheckpointError(f"extra.characters: {first_problem(error)}") from error
    if not found.unknown or any(not 0 <= a.topic < len(found.replies) for a in found.askings):
        raise CheckpointError("extra.characters: a topic or the unknown reply is missing")
    return found


def tests(extra: Any) -> list[Item]:
    """Return the questions of the training, held-out ones by topic, and foreign questions."""
    known, rng = hook(extra), Random(SEED)
    foreign = [
        Question("", (plain(draw(rng, each, str)),), known.unknown) for each in general_questions()
    ]
    return [
        *(_item("questions of the training", each) for each in known.seen),
        *(_item(f"{each.topic}, held out", each) for each in known.held_out),
        *(_item("foreign questions", each) for each in foreign),
    ]


def page_facts(extra: Any) -> Mapping[str, Any]:
    """Return what the page needs to choose as the hook does."""
    known = hook(extra)
    names = ("askings", "replies", "unknown", "threshold", "is_table", "follows", "needs")
    return {name: getattr(known, name) for name in names} | {"matching": RULES}


def _of_character(file: TextFile, tell: Tell) -> Knowledge:
    character = read_character(file)
    drawing, test = Drawing(character), Drawing(character, is_test=True)
    tell(f"draw conversations about {count(len(character.topics), 'topic')}")
    for line in character.advice():
        tell(line)
    matcher = drawing.matcher()
    asked = tuple(drawing.questions()), tuple(test.questions())
    unknown = tuple(character.unknown)
    follows, needs = drawing.order()
    return Knowledge(
        matcher.askings, matcher.replies, unknown, drawing.threshold, False, *asked, follows, needs
    )


def _of_table(docs: Sequence[Document], unknown: str, tell: Tell) -> Knowledge:
    answers = answers_of(docs, tell)
    questions = count(len(answers), "question")
    found = f'other wordings are found by their words, other questions get "{unknown}"'
    tell(f"learn the table by heart ({questions}); {found}")
    topics = {said: i for i, said in enumerate(dict.fromkeys(answers.values()))}
    askings = tuple(Asking(asked, topics[said]) for asked, said in answers.items())
    seen = tuple(Question("", (asked,), (said,)) for asked, said in answers.items())
    return Knowledge(askings, (*topics,), (unknown,), THRESHOLD, True, seen)


def _folded(message: Message) -> Message:
    return Message(message.role, plain(message.content))


def _item(task: str, question: Question) -> Item:
    texts = (*question.messages, question.replies[0])
    talk = tuple(Message("assistant" if i % 2 else "user", text) for i, text in enumerate(texts))
    return Item(task, talk, len(talk) - 1, 1, also=question.replies)
