"""The command `microgpt character`: write an example of a character file, and check a file."""

import json
from dataclasses import asdict
from pathlib import Path

from microgpt import ConfigError, count, publish
from microgpt_cli.terminal.console import as_typed
from microgpt_cli.terminal.help import GroupedCommand, command_group
from microgpt_cli.terminal.options import argument, option

character = command_group("Write a character for a chat model.")


@character.command(cls=GroupedCommand, epilog="microgpt character new owl.toml")
def new(file: Path = argument(..., "File to write.", "FILE")) -> None:
    """Write a commented file to start from."""
    _write(file, Path(__file__).with_name("starter.toml").read_text(encoding="utf-8"))
    print(as_typed(f"Wrote {file}; try it: microgpt character try {file}"))


@character.command("try", cls=GroupedCommand, epilog="microgpt character try owl.toml")
def try_file(
    file: Path = argument(..., "Character file.", "FILE"),
    output: Path | None = option(None, "JSONL file for training conversations."),
) -> None:
    """Check the file of a character, and show some exchanges of each topic."""
    from microgpt import TextFile
    from microgpt_characters.character_file import read_character
    from microgpt_characters.conversations import Drawing

    drawing = Drawing(found := read_character(TextFile(file)))
    if output:
        talks = [json.dumps([*map(asdict, talk)], ensure_ascii=False) for talk in drawing.lessons()]
        _write(output, "\n".join((*talks, "")))
        print(f"Wrote {count(len(talks), 'conversation')} to {output}")
        return
    for question in drawing.questions():
        print(f"user:      {question.messages[-1]}\nassistant: {question.replies[0]}\n")
    print(*found.advice(), f"{count(len(found.all_topics), 'topic')}: no mistakes", sep="\n")


def _write(file: Path, text: str) -> None:
    if file.exists():
        raise ConfigError(f"{file} exists; use another, or remove it")
    publish(file.parent, {file.name: text.encode()})
