"""`microgpt dataset`: generate synthetic data."""

import os
from pathlib import Path
from typing import Literal

from microgpt import ConfigError
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.terminal.options import SEED_HELP, flag, option

STDOUT = Path("-")

dataset = command_group("Generate training data.")


@dataset.command(
    cls=GroupedCommand, epilog="microgpt dataset chat --split heldout --output test.jsonl"
)
def chat(
    split: Literal["train", "basics", "heldout", "wordings"] = option(
        "train",
        "train: the training set. basics: only its short questions, for a first "
        "training run. heldout: words, names, number pairs and prompts that are not in "
        "the training set. wordings: phrasings that are not in it.",
    ),
    conversations: int = option(4000, "Number of conversations."),
    seed: int = option(42, SEED_HELP),
    output: Path | None = option(None, "JSONL file.  [default: standard output]"),
    force: bool = flag("--force", "Replace an existing file."),
) -> None:
    """Generate conversations from a grammar, one per line.

    The topics are small talk, addition and subtraction up to 99, multiplication up to 12,
    comparisons, spelling, reversing, length and letters of words, names and colors to remember,
    days, months, opposites, capitals, two questions in one message, and messages that the assistant
    cannot answer. The held-out words are the same for all seeds.
    """
    from microgpt import publish
    from microgpt_characters.synthetic_chat import conversations as draw
    from microgpt_characters.synthetic_chat import json_line

    lines = map(json_line, draw(split, conversations, seed))
    if output is None or output == STDOUT:
        for line in lines:
            print(line)
        return
    if os.path.lexists(output) and not force:
        raise ConfigError(f"{output} exists; use another file, or replace it with --force")
    publish(output.parent, {output.name: "".join(f"{line}\n" for line in lines).encode()})
    print(f"Wrote {conversations:,} conversations to {output}")
