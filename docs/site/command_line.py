"""The reference of the command line, from the app itself."""

import re
from collections.abc import Iterator

import typer
from typer.core import TyperArgument, TyperGroup

from microgpt_cli.app import commands

HEAD = """# Command line

Every command with all its options. At a terminal, `microgpt COMMAND --help` prints the same; for
commands with many options, `--help-all` prints all of them.
"""


def page() -> str:
    """Return the reference as Markdown."""
    root = typer.main.get_command(commands())
    assert isinstance(root, TyperGroup)
    return "\n".join([HEAD, *command_lines("microgpt", root)])


def command_lines(name: str, command: typer.core.TyperCommand) -> Iterator[str]:
    """Yield the lines about a command, and about the subcommands of a group."""
    if isinstance(command, TyperGroup):
        for child, subcommand in command.commands.items():
            yield from command_lines(f"{name} {child}", subcommand)
        return
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield f"## {name}\n\n```text\n{usage}\n```\n\n{paragraphs(command.help)}\n"
    tables: dict[str, list[str]] = {}
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record and param.name != "help":
            is_argument = isinstance(param, TyperArgument)
            panel = getattr(param, "rich_help_panel", None) or "Options"
            rows = tables.setdefault("Arguments" if is_argument else panel, [])
            shown = param.display_name_raw if is_argument else record[0]
            rows.append(f"| `{shown}` | {escape(record[1])} |")
    for title, rows in tables.items():
        yield "\n".join([f"| {title} | Meaning |", "| --- | --- |", *rows, ""])
    if command.epilog:
        yield f"```bash\n{command.epilog.strip()}\n```\n"


def paragraphs(text: str | None) -> str:
    """Return a help text as Markdown, without its line breaks."""
    return "\n\n".join(map(escape, (text or "").split("\n\n")))


def escape(text: str) -> str:
    """Return text on one line, in which Markdown finds no HTML, emphasis, link or column."""
    return re.sub(r"[*_\[|]", r"\\\g<0>", " ".join(text.split())).replace("<", "&lt;")
