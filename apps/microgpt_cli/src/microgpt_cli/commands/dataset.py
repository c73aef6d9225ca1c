"""`microgpt dataset`: generate synthetic data."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from microgpt.errors import ConfigError
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.terminal.options import SEED_HELP

STDOUT = Path("-")

dataset = command_group("Generate training data.")


@dataset.command(
    cls=GroupedCommand, epilog="microgpt dataset chat --split heldout --output test.jsonl"
)
def chat(
    split: Annotated[
        Literal["train", "basics", "heldout", "wordings"],
        typer.Option(
            help="train: training set. basics: its short questions, to learn from first. heldout: "
            "words, names, number pairs and prompts that the training set does not contain. "
            "wordings: phrasings that it does not contain."
        ),
    ] = "train",
    conversations: Annotated[int, typer.Option(help="Number of conversations.")] = 4000,
    seed: Annotated[int, typer.Option(help=SEED_HELP)] = 42,
    output: Annotated[
        Path | None, typer.Option(help="JSONL file.  [default: standard output]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Generate conversations from a grammar, one per line.

    The topics are small talk, addition and subtraction up to 99, multiplication up to 12,
    comparisons, spelling, reversing, length and letters of words, names and colors to remember,
    days, months, opposites, capitals, two questions in one message, and messages that the assistant
    cannot answer. The held-out words are the same for all seeds.
    """
    from microgpt.files.atomic_files import publish
    from microgpt.synthetic_chat import conversations as draw
    from microgpt.synthetic_chat import json_line

    lines = map(json_line, draw(split, conversations, seed))
    if output is None or output == STDOUT:
        for line in lines:
            print(line)
        return
    if os.path.lexists(output) and not force:
        raise ConfigError(f"{output} exists; use another file, or replace it with --force")
    publish(output.parent, {output.name: "".join(f"{line}\n" for line in lines).encode()})
    print(f"Wrote {conversations:,} conversations to {output}")
