"""The command `microgpt character`: write an example of a character file, and check a file."""

from itertools import cycle
from pathlib import Path

from microgpt import ConfigError, count, publish
from microgpt_cli.terminal.console import as_typed
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.terminal.options import argument

character = command_group("Write a character for a chat model.")


@character.command(cls=GroupedCommand, epilog="microgpt character new owl.toml")
def new(file: Path = argument(..., "File to write.", "FILE")) -> None:
    """Write a commented file to start from."""
    if file.exists():
        raise ConfigError(f"{file} exists; use another, or remove it")
    publish(file.parent, {file.name: Path(__file__).with_name("starter.toml").read_bytes()})
    print(as_typed(f"Wrote {file}; try it: microgpt character try {file}"))


@character.command("try", cls=GroupedCommand, epilog="microgpt character try owl.toml")
def try_file(file: Path = argument(..., "Character file.", "FILE")) -> None:
    """Check the file of a character, and show some exchanges of each topic."""
    from microgpt import TextFile
    from microgpt_characters.character_file import read_character
    from microgpt_characters.conversations import Drawing

    for question in Drawing(found := read_character(TextFile(file))).questions():
        texts = *question.messages, " | ".join(question.replies)
        turns = zip(cycle(("You", found.name)), texts, strict=False)
        print(*(f"{who}: {text}" for who, text in turns), "", sep="\n")
    print(*found.advice(), f"{count(len(found.topics), 'topic')}: no mistakes", sep="\n")
