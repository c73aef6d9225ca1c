"""`microgpt character`: begin the file of a character, and try it before the training."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from microgpt import ConfigError
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.terminal.options import SEED_HELP, argument, flag, option

N_SHOWN = 5  # conversations that `try` prints

character = command_group("Write a character of your own, for a chat model.")


@character.command(cls=GroupedCommand, epilog="microgpt character new owl.toml")
def new(
    file: Path = argument(..., "File to write.", "FILE"),
    force: bool = flag("--force", "Replace an existing file."),
) -> None:
    """Write a commented file to start from."""
    if os.path.lexists(file) and not force:
        raise ConfigError(f"{file} exists; use another file, or replace it with --force")
    starter = Path(__file__).with_name("starter.toml").read_text(encoding="utf-8")
    file.write_text(starter, encoding="utf-8")
    print(f"Wrote {file}; try it with: microgpt character try {file}")


@character.command("try", cls=GroupedCommand, epilog="microgpt character try owl.toml")
def try_file(
    file: Path = argument(..., "TOML file of a character.", "FILE"),
    conversations: int = option(N_SHOWN, "Number of conversations.", min=1),
    seed: int = option(42, SEED_HELP, min=0),
    output: Path | None = option(None, "JSONL file.  [default: print the conversations]"),
    force: bool = flag("--force", "Replace an existing file."),
) -> None:
    """Draw conversations from the file of a character, and say what it lacks."""
    from microgpt import TextFile, publish
    from microgpt_characters.conversations import Drawing
    from microgpt_characters.grammar import read_character

    found = read_character(TextFile(file))
    drawing = Drawing(found, seed)
    drawn = (drawing.conversation() for _ in range(conversations))
    if output is None:
        for talk in drawn:
            print(*(f"{each.role + ':':<10} {each.content}" for each in talk), "", sep="\n")
        print("\n".join(found.advice()))
        return
    if os.path.lexists(output) and not force:
        raise ConfigError(f"{output} exists; use another file, or replace it with --force")
    lines = (json.dumps([*map(asdict, talk)], ensure_ascii=False) for talk in drawn)
    publish(output.parent, {output.name: "".join(f"{line}\n" for line in lines).encode()})
    print(f"Wrote {conversations:,} conversations to {output}")
