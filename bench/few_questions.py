"""Measure how often models trained on tables of 40 to 55 questions understand other wordings.

    uv run python bench/few_questions.py [--only museum]

Trains on each set in questions/ with `microgpt train --chat`: on its questions alone, and with two
and six other wordings of each in the table. Then asks unseen wordings (at most two per question;
those that equal one of the six are left out), and 30 to 40 questions that no pair answers, at least
a quarter of which share words with the pairs. Language models wrote the sets, except library; other
language models, which saw only the pairs and docs/character.md, wrote the six wordings. The
comparison of messages was tuned on library, museum and note_app, the threshold of tables with other
wordings on all sets. Takes two minutes on one core.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness import BENCH, command, headed, parsed, pin, store

from microgpt import InferenceGpt, load
from microgpt_characters.hook import DEFAULT_REPLY

SETS = ("library", "museum", "note_app", "helpdesk", "vet", "hostel", "pool")
ADDED = (0, 2, 6)  # numbers of other wordings of each question that a table contains


def main() -> None:
    options = parsed(__doc__, only=SETS)
    pin()
    names = [options.only] if options.only else SETS
    found = {name: [measured(name, n) for n in ADDED] for name in names}
    options.is_short = bool(options.only)
    print(questions_table(store("few_questions", {"sets": found}, options)))


def measured(name: str, n_added: int) -> dict[str, float]:
    """Train with n_added other wordings per question; return fractions of the model's answers."""
    facts = json.loads((BENCH / f"questions/{name}.json").read_text())
    unseen = [(text, each["answer"]) for each in facts["pairs"] for text in each["wordings"]]
    table = [
        (text, each["answer"])
        for each in facts["pairs"]
        for text in (each["question"], *each["added"][:n_added])
    ]
    with TemporaryDirectory() as folder:
        file = Path(folder, "faq.jsonl")
        lines = (json.dumps({"prompt": asked, "completion": said}) for asked, said in table)
        file.write_text("\n".join(lines))
        model = f"{folder}/model"
        command("train", "--chat", "--data", file, "--model", model)
        gpt = InferenceGpt(load(model))
    replies = [(gpt.chat(text).content, answer) for text, answer in unseen]
    wrong = sum(reply not in (answer, DEFAULT_REPLY) for reply, answer in replies)
    answered = [gpt.chat(text).content != DEFAULT_REPLY for text in facts["unknown"]]
    return {
        "pairs": len(facts["pairs"]),
        "exact": sum(gpt.chat(text).content == answer for text, answer in table) / len(table),
        "right": sum(reply == answer for reply, answer in replies) / len(replies),
        "wrong": wrong / len(replies),
        "answered": sum(answered) / len(answered),
    }


def questions_table(kept: dict[str, Any]) -> str:
    """Return a table of the fractions of exact, right and wrong answers, with a row per set."""
    of = "/".join(map(str, ADDED))
    head = ["set", "pairs", f"exact, with {of} wordings added", f"unseen wordings: right ({of})",
            f"wrong ({of})", f"unknown questions answered ({of})"]  # fmt: skip
    lines = []
    for name, found in kept["sets"].items():
        columns = ([f"{each[key]:.0%}" for each in found] for key in [*found[0]][1:])
        lines.append([name.replace("_", " "), str(found[0]["pairs"]), *map("/".join, columns)])
    return headed(head, lines, kept)


TABLES = {"few_questions": questions_table}

if __name__ == "__main__":
    main()
