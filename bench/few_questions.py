"""Measure how often models trained on 40 to 55 questions answer them correctly in new wordings.

    uv run python bench/few_questions.py [--only museum]

Trains on each set in questions/ with `microgpt train --chat --minutes 1`. A set has 40 to 55
question-answer pairs, two unseen wordings per question (in vet, for only 20 questions) and 30 to 40
questions that no pair answers, at least a quarter of which share words with the pairs. The command
was tuned on library, museum and note_app. All sets except library were written by a language model
that did not know how the command trains; helpdesk, vet and hostel (in German) were written, or
first read, after the tuning. Takes a minute per set on one core.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness import BENCH, command, headed, parsed, pin, store

from microgpt import InferenceGpt, load
from microgpt_characters.hook import DEFAULT_REPLY

SETS = ("library", "museum", "note_app", "helpdesk", "vet", "hostel")
MINUTES = 1


def main() -> None:
    options = parsed(__doc__, only=SETS)
    pin()
    found = {name: measured(name) for name in SETS if options.only in (None, name)}
    options.is_short = bool(options.only)
    print(questions_table(store("few_questions", {"sets": found}, options)))


def measured(name: str) -> dict[str, Any]:
    """Train a model on the pairs of a set, and return the fractions of right and wrong answers."""
    facts = json.loads((BENCH / f"questions/{name}.json").read_text())
    pairs = [(each["question"], each["answer"]) for each in facts["pairs"]]
    others = [(text, each["answer"]) for each in facts["pairs"] for text in each["wordings"]]
    with TemporaryDirectory() as folder:
        file = Path(folder, "faq.jsonl")
        lines = (json.dumps({"prompt": asked, "completion": said}) for asked, said in pairs)
        file.write_text("\n".join(lines))
        words = ("--data", file, "--minutes", MINUTES, "--model", f"{folder}/model")
        command("train", "--chat", *words)
        gpt = InferenceGpt(load(f"{folder}/model"))
    replies = [(gpt.chat(text).content, answer) for text, answer in others]
    right = sum(reply == answer for reply, answer in replies)
    wrong = sum(reply not in (answer, DEFAULT_REPLY) for reply, answer in replies)
    unknown = [gpt.chat(text).content != DEFAULT_REPLY for text in facts["unknown"]]
    exact = sum(gpt.chat(text).content == answer for text, answer in pairs)
    return {
        "pairs": len(pairs),
        "exact": exact / len(pairs),
        "right": right / len(others),
        "wrong": wrong / len(others),
        "answered": sum(unknown) / len(unknown),
    }


def questions_table(kept: dict[str, Any]) -> str:
    """Return a table of the fractions of exact, right and wrong answers, with a row per set."""
    head = ["set", "pairs", "exact answers", "other wordings: right", "wrong",
            "unknown questions answered"]  # fmt: skip
    lines = []
    for name, found in kept["sets"].items():
        shares = [f"{found[of]:.0%}" for of in ("exact", "right", "wrong", "answered")]
        lines.append([name.replace("_", " "), str(found["pairs"]), *shares])
    return headed(head, lines, kept)


TABLES = {"few_questions": questions_table}

if __name__ == "__main__":
    main()
