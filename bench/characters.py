"""Count a character's right replies to questions whose wordings are not in the character's file.

    uv run python bench/characters.py [--only bundled]

Tests the bundled model of the character Skerry, and models trained for three minutes on Skerry's
file with eight or twenty-five wordings of each topic, drawn from the file's patterns. The questions
in characters/skerry.json are older than Skerry's file: two wordings per topic, thirty questions
that Skerry cannot answer, and ten five-turn talks, in which a user gives a name and asks for it.
Each question is asked again in capitals. Takes eight minutes on one core.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from harness import BENCH, ROOT, command, headed, parsed, pin, store

from microgpt import InferenceGpt, Message, load
from microgpt_characters.pattern import draw, parse

FILE = ROOT / "data/characters/skerry.toml"
FACTS = tomllib.loads(FILE.read_text("utf-8"))
QUESTIONS = json.loads((BENCH / "characters/skerry.json").read_text("utf-8"))
# Number of wordings per topic, by model; None for the bundled model.
MODELS = {"bundled": None, "eight wordings per topic": 8, "twenty-five wordings per topic": 25}


def main() -> None:
    options = parsed(__doc__, only=MODELS)
    pin()
    found = {name: measured(name) for name in MODELS if options.only in (None, name)}
    options.is_short = bool(options.only)
    print(characters_table(store("characters", {"models": found}, options)))


def measured(name: str) -> dict[str, Any]:
    """Return a model's counts of replies to questions in lower case, and in upper case."""
    with TemporaryDirectory() as folder:
        model, n = ROOT / "data/models/skerry", MODELS[name]
        if n:
            file, model = Path(folder, "few.toml"), Path(folder, "model")
            file.write_text(with_few_askings(n), "utf-8")
            command("train", "--chat", "--data", file, "--minutes", 3, "--model", model)
        gpt = InferenceGpt(load(model))
    return {"small": answered(gpt, str.lower), "capitals": answered(gpt, str.upper)}


def with_few_askings(n: int) -> str:
    """Return Skerry's file, in which n plain wordings replace the patterns of each topic."""
    text, rng = FILE.read_text("utf-8"), Random(1)
    for name, topic in FACTS["topics"].items():
        drawn: dict[str, None] = {}
        for _ in range(40):
            for asking in topic["ask"]:
                drawn[draw(rng, parse(asking, FACTS["macros"]))] = None
        given = f'[topics."{name}"]' if " " in name else f"[topics.{name}]"
        before, after = text.split(given, 1)
        _, rest = re.split(r"^ask = \[.*?\]$", after, maxsplit=1, flags=re.S | re.M)
        between = after[: after.index("ask = [")]
        text = f"{before}{given}{between}ask = {json.dumps([*islice(drawn, n)])}{rest}"
    return text


def answered(gpt: InferenceGpt, style: Callable[[str], str]) -> dict[str, int]:
    """Count right and wrong replies, refusals and remembered names; `style` changes the case."""
    unseen = [(topic, text) for topic, texts in QUESTIONS["unseen"].items() for text in texts]
    topics = [(topic_of(reply_to(gpt, [style(text)])), topic) for topic, text in unseen]
    foreign = [topic_of(reply_to(gpt, [style(text)])) for text in QUESTIONS["foreign"]]
    return {
        "right": sum(found == topic for found, topic in topics),
        "wrong": sum(found not in (topic, None) for found, topic in topics),
        "refused": foreign.count(None),
        "names": sum(talk(gpt, turns, style) for turns in QUESTIONS["talks"]),
    }


def talk(gpt: InferenceGpt, turns: Sequence[Sequence[str]], style: Callable[[str], str]) -> bool:
    """Return whether the last reply of a conversation contains the name that the user has given."""
    said: list[str] = []
    for text, _ in turns:
        said.append(style(text))
        said.append(reply_to(gpt, said))
    return turns[-1][1] in said[-1]


def reply_to(gpt: InferenceGpt, texts: Iterable[str]) -> str:
    """Return the reply, at temperature 0, to alternating messages of a user and the character."""
    messages = [Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)]
    return gpt.chat(messages, temperature=0).content


def topic_of(reply: str) -> str | None:
    """Return the topic of a reply, None for "I do not know", or "?" if no topic has this reply."""
    if reply in FACTS["unknown"]:
        return None
    for name, topic in FACTS["topics"].items():
        replies = topic["reply"] + topic.get("untold", [])
        replies += [text for follow in topic.get("follow", []) for text in follow["reply"]]
        for text in replies:
            pattern = re.sub(r"\\\{.*?\\\}", "[A-Z][a-z]+", re.escape(text).replace(r"\ ", " "))
            if re.fullmatch(pattern, reply):
                return str(name)
    return "?"


def characters_table(kept: dict[str, Any]) -> str:
    """Return a table of the replies to questions in lower case."""
    head = ["training", "unseen wordings: right", "of another topic", "foreign questions refused",
            "names after five turns"]  # fmt: skip
    n_unseen = sum(map(len, QUESTIONS["unseen"].values()))
    n_foreign, n_talks = len(QUESTIONS["foreign"]), len(QUESTIONS["talks"])
    lines = []
    for name, styles in kept["models"].items():
        n = styles["small"]
        shares = [f"{n[of] / n_unseen:.0%}" for of in ("right", "wrong")]
        counts = [f"{n['refused']} of {n_foreign}", f"{n['names']} of {n_talks}"]
        lines.append([name, *shares, *counts])
    return headed(head, lines, kept)


TABLES = {"characters": characters_table}

if __name__ == "__main__":
    main()
