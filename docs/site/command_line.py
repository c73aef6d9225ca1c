"""Generate the command-line reference from the Typer app: an index, and a page per command."""

import re
from collections.abc import Iterator

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from microgpt.plugins import find_plugins, package
from microgpt_cli.all_commands import commands

INDEX = "docs/reference/command_line.md"


def pages() -> dict[str, str]:
    """Return the Markdown of the index, without its introduction, and of each command, by path."""
    root = typer.main.get_command(commands())
    assert isinstance(root, TyperGroup)
    found, index = {}, dict[str, list[str]]()
    for name, entry in find_plugins("commands").items():
        command = root.get_command(None, name)
        lines = [f"# microgpt {name}\n", *command_lines(f"microgpt {name}", command, "##")]
        found[f"{INDEX.removesuffix('.md')}/{name}.md"] = "\n".join(lines)
        rows = index.setdefault(package(entry), [])
        rows += index_lines(f"microgpt {name}", command, f"command_line/{name}.md")
    sections = [f"## {panel}\n\n" + "\n".join(rows) + "\n" for panel, rows in index.items()]
    return {INDEX: "\n".join(sections), **found}


def index_lines(name: str, command: TyperCommand, link: str) -> Iterator[str]:
    """Yield the index lines, with anchors, of a command or of a group's subcommands."""
    anchor = name.replace(" ", "-")
    if isinstance(command, TyperGroup):
        for child, subcommand in command.commands.items():
            yield from index_lines(f"{name} {child}", subcommand, f"{link}#{anchor}-{child}")
        return
    first = paragraphs(command.help).partition("\n")[0]
    yield f"- [`{name}`]({link}){{ #{anchor} }}: {first}"


def command_lines(name: str, command: TyperCommand, heading: str) -> Iterator[str]:
    """Yield the lines below a command's heading, with sections for the subcommands of a group."""
    if isinstance(command, TyperGroup):
        yield f"{paragraphs(command.help)}\n"
        for child, subcommand in command.commands.items():
            yield f"{heading} {name} {child}\n"
            yield from command_lines(f"{name} {child}", subcommand, f"{heading}#")
        return
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```\n\n{paragraphs(command.help)}\n"
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
        table = "\n".join(["| Name | Meaning |", "| --- | --- |", *rows])
        yield f'{heading} {title}\n\n<div class="options" markdown>\n\n{table}\n\n</div>\n'
    if command.epilog:
        yield f"{heading} Examples\n\n```bash\n{command.epilog.strip()}\n```\n"


def paragraphs(text: str | None) -> str:
    """Return a help text as Markdown paragraphs without line breaks."""
    return "\n\n".join(map(escape, (text or "").split("\n\n")))


def escape(text: str) -> str:
    """Return a text on one line, with escapes for HTML, emphasis, links and table columns."""
    return re.sub(r"[*_\[|]", r"\\\g<0>", " ".join(text.split())).replace("<", "&lt;")
