"""`microgpt character`: begin the file of a character, and try it before the training."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from microgpt import ConfigError, count
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.terminal.options import SEED_HELP, argument, option

character = command_group("Write a character of your own, for a chat model.")


@character.command(cls=GroupedCommand, epilog="microgpt character new owl.toml")
def new(file: Path = argument(..., "File to write.", "FILE")) -> None:
    """Write a commented file to start from."""
    _write(file, Path(__file__).with_name("starter.toml").read_text(encoding="utf-8"))
    print(f"Wrote {file}; try it with: microgpt character try {file}")


@character.command("try", cls=GroupedCommand, epilog="microgpt character try owl.toml")
def try_file(
    file: Path = argument(..., "TOML file of a character.", "FILE"),
    conversations: int = option(1_000, "Number of conversations to write.", min=1),
    seed: int = option(42, SEED_HELP, min=0),
    output: Path | None = option(
        None, "JSONL file for conversations.  [default: do not write any]"
    ),
) -> None:
    """Check the file of a character, and show an exchange of each topic."""
    from microgpt import TextFile
    from microgpt_characters.conversations import Drawing
    from microgpt_characters.grammar import read_character

    drawing = Drawing(found := read_character(TextFile(file)), seed)
    if output is None:
        for message, reply in drawing.examples():
            print(f"user:      {message}\nassistant: {reply}\n")
        for line in found.advice():
            print(line)
        n, n_all = len(found.topics), len(found.all_topics)
        print(f"{count(n, 'topic')}, {count(n_all - n, 'follow-up')}: no mistakes")
        return
    talks = (map(asdict, drawing.conversation()) for _ in range(conversations))
    _write(output, "".join(f"{json.dumps([*talk], ensure_ascii=False)}\n" for talk in talks))
    print(f"Wrote {conversations:,} conversations to {output}")


def _write(file: Path, text: str) -> None:
    if os.path.lexists(file):
        raise ConfigError(f"{file} exists; use another file, or remove it")
    from microgpt import publish

    publish(file.parent, {file.name: text.encode()})
