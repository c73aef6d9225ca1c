"""Questions that a character answers, in wordings that its file does not have.

    uv run python bench/characters.py [--askings 8] [--minutes 3] [--model data/models/skerry]

Trains on data/characters/skerry.toml with the command of a user, or takes a model. With --askings,
each topic has so many plain wordings, drawn from its patterns. characters/skerry.json has two other
wordings of each topic, thirty questions that Skerry cannot know, and ten talks of five turns, in
which a user tells a name and asks for it; they were written before the file. Each question is asked
again in capitals. Three minutes on one core, and the time of the questions.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from harness import ROOT, parsed
from machine import machine

from microgpt import InferenceGpt, Message, load
from microgpt_characters.pattern import draw, parse

FILE = ROOT / "data/characters/skerry.toml"
QUESTIONS = json.loads(Path(__file__).with_name("characters").joinpath("skerry.json").read_text())


def main() -> None:
    """Train, and print the shares of right answers."""
    options = parsed(__doc__, askings=0, minutes=3.0, model="")
    facts = tomllib.loads(FILE.read_text())
    print(machine())
    with TemporaryDirectory() as folder:
        model = Path(options.model) if options.model else Path(folder, "model")
        if not options.model:
            file = FILE
            if options.askings:
                file = Path(folder, "few.toml")
                file.write_text(with_few_askings(facts, options.askings))
            trained(file, model, options.minutes)
        gpt = InferenceGpt(load(model))
    for style in (str.lower, str.upper):
        print(f"{style.__name__}:")
        report(gpt, facts, style)


def trained(file: Path, model: Path, minutes: float) -> None:
    """Train with the command of a user."""
    command = ["train", "--chat", "--data", file, "--minutes", minutes, "--model", model.name]
    subprocess.run(
        [sys.executable, "-m", "microgpt_cli", *map(str, command)], cwd=model.parent, check=True
    )


def with_few_askings(facts: dict, n: int) -> str:
    """Return the text of a file whose topics have n plain wordings each."""
    text, rng = FILE.read_text(), Random(1)
    for name, topic in facts["topics"].items():
        drawn: dict[str, None] = {}
        for _ in range(40):
            for asking in topic["ask"]:
                drawn[draw(rng, parse(asking, facts["macros"]))] = None
        given = f'[topics."{name}"]' if " " in name else f"[topics.{name}]"
        before, after = text.split(given, 1)
        _, rest = re.split(r"ask = \[.*?\]$", after, maxsplit=1, flags=re.S | re.M)
        between = after[: after.index("ask = [")]
        text = f"{before}{given}{between}ask = {json.dumps([*islice(drawn, n)])}{rest}"
    return text


def report(gpt: InferenceGpt, facts: dict, style: Callable[[str], str]) -> None:
    """Print what is right, wrong and refused."""
    right = wrong = 0
    for topic, texts in QUESTIONS["unseen"].items():
        for text in texts:
            found = topic_of(reply_to(gpt, [style(text)]), facts)
            right += found == topic
            wrong += found not in (topic, None)
            if found != topic:
                print(f"    {topic:12} {text!r} -> {found}")
    n = sum(map(len, QUESTIONS["unseen"].values()))
    print(f"  unseen wordings: {right / n:.0%} right, {wrong / n:.0%} of another topic (of {n})")
    foreign = [
        text for text in QUESTIONS["foreign"] if topic_of(reply_to(gpt, [style(text)]), facts)
    ]
    print(f"  foreign: {len(QUESTIONS['foreign']) - len(foreign)} refused; answered: {foreign}")
    names = sum(talk(gpt, turns, style) for turns in QUESTIONS["talks"])
    print(f"  names after five turns: {names} of {len(QUESTIONS['talks'])}")


def talk(gpt: InferenceGpt, turns: Sequence[Sequence[str]], style: Callable[[str], str]) -> bool:
    """Return whether the last reply of a talk has the name that was told."""
    said: list[str] = []
    for text, _ in turns:
        said.append(style(text))
        said.append(reply_to(gpt, said))
    return turns[-1][1] in said[-1]


def reply_to(gpt: InferenceGpt, texts: Iterable[str]) -> str:
    """Return the reply to a talk of alternating messages, at temperature 0."""
    roles = ("user", "assistant")
    talk = [Message(roles[i % 2], text) for i, text in enumerate(texts)]
    return gpt.chat(talk, temperature=0).content


def topic_of(reply: str, facts: dict) -> str | None:
    """Return the topic of a reply; None if it says that it does not know; "?" if it is none."""
    if reply in facts["unknown"]:
        return None
    for name, topic in facts["topics"].items():
        replies = topic["reply"] + topic.get("untold", [])
        replies += [text for follow in topic.get("follow", []) for text in follow["reply"]]
        for text in replies:
            pattern = re.sub(r"\\\{.*?\\\}", "[A-Z][a-z]+", re.escape(text).replace(r"\ ", " "))
            if re.fullmatch(pattern, reply):
                return name
    return "?"


if __name__ == "__main__":
    main()
