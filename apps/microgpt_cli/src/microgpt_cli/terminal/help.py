"""Plain-text help with grouped options. Typer's help would import rich, which takes 0.2 s."""

import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from microgpt import ConfigError
from microgpt_cli.terminal.options import eager

Command = TypeVar("Command", bound=Callable[..., None])


def examples(*lines: str) -> Callable[[Command], Command]:
    """Return a decorator that gives a command the examples at the end of its help."""

    def decorate(command: Command) -> Command:
        command.examples = lines  # type: ignore[attr-defined]
        return command

    return decorate


class GroupedCommand(TyperCommand):
    """A command whose help groups its options by panel.

    If options are hidden, the help lists only the other options, and `--help-all` lists all
    options. A hidden option without help text is never listed, because a positional argument has
    the same effect.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        options = [param for param in self.params if isinstance(param, TyperOption)]
        self._rare = [option for option in options if option.hidden and option.help]
        for option in self._rare:
            option.hidden = False  # enables shell completion
        if self._rare:
            shared = typer.Typer(add_completion=False)
            shared.command()(_shared)
            self.params += typer.main.get_command(shared).params
            self.params[-1].expose_value = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; complete an error with a hint."""
        values, extra, order = dict[str, Any](), list[str](), list[Any]()
        try:
            values, extra, order = self.make_parser(ctx).parse_args(list(args))
            rest = super().parse_args(ctx, list(args))
            self._check_paths(values, ctx.params)
        except typer.TyperException as error:
            error.ctx = getattr(error, "ctx", None) or ctx  # type: ignore[attr-defined]
            _refuse_setting(error, values)
            error.message = error.message.replace("Input should be", "must be")
            hint = self._hint(error, values, extra)
            error.message += hint
            raise
        _refuse_repeated(order)
        return rest

    def _check_paths(self, given: dict[str, Any], values: dict[str, Any]) -> None:
        """Replace `--data -` by standard input; refuse empty paths, as of unset variables."""
        params: list[Any] = self.params
        for param in params:
            path = given.get(param.name)
            if path == "-" and "--data" in param.opts:
                values[param.name] = Path("/dev/stdin")
            is_path = param.type_descriptor.annotation in (Path, list[Path])
            if is_path and "" in (path if isinstance(path, list) else [path]):  # Path("") is "."
                raise typer.BadParameter("must not be empty; use . for this directory", param=param)

    def _hint(self, error: Any, values: dict[str, Any], extra: list[str]) -> str:
        """Return a hint to add to a usage error, such as the wrong value or the missing --data."""
        param = getattr(error, "param", None)
        value = values.get(param.name) if param else None
        if isinstance(value, str) and repr(value) not in error.message:
            return f", got {value!r:.80}"
        flags = {flag for option in self.params for flag in option.opts}
        is_one = len(extra) == 1 and not {"data", "input"} & {*values}
        if not param and extra and "--data" in flags and not is_one and os.path.exists(extra[0]):
            error.message = "--data takes one path"
            return "; pass the folder of the files, or a pattern in quotes, such as '*.txt'"
        if not param and extra and "--data" in flags and not {"data", "input"} & {*values}:
            is_genome = "--genome" in flags and extra[0].endswith(".json")
            flag = "--genome" if is_genome else "--data"
            return f"; to read a file, use {flag} {shlex.quote(extra[0])}"
        return ""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line: [OPTIONS], then arguments such as [RUN]..."""
        pieces = [re.sub("[{}]", "", piece) for piece in super().collect_usage_pieces(ctx)]
        return [re.sub(r"^\[(\[.*)\]\.\.\.$", r"\1", piece) for piece in pieces]

    def help_flag(self) -> str:
        """Return the option that lists all options."""
        return "--help-all" if self._rare else "--help"

    def help_of_all(self, ctx: Any) -> str:
        """Return the help with all options and their full descriptions."""
        rare, self._rare = self._rare, []
        try:
            return str(self.get_help(ctx))
        finally:
            self._rare = rare

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then one section per panel, in option order."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None or param in self._rare:
                continue
            if isinstance(param, TyperArgument):
                sections.setdefault("Arguments", []).append((param.display_name_raw, record[1]))
            elif self._rare:
                sections.setdefault("Options", []).append((record[0], _shorten(record[1])))
            else:
                panel = param.rich_help_panel if isinstance(param, TyperOption) else None
                sections.setdefault(panel or "Options", []).append(record)
        sections["Options"] = sections.pop("Options")  # --help and similar options come last
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=24 if self._rare else 30)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, one per line."""
        if self.epilog:
            formatter.write_paragraph()
            examples = (f"    {example}\n" for example in self.epilog.splitlines())
            formatter.write("".join(["  Examples:\n", *examples]))


class SectionedGroup(TyperGroup):
    """A group of commands whose help has sections and untruncated summaries."""

    def sections(self) -> dict[str, list[tuple[str, str]]]:
        """Return the names and summaries of the commands by section."""
        found = self.commands.items()
        return {"Commands": [(name, each.get_short_help_str(limit=1000)) for name, each in found]}

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the options."""
        sections = self.sections()
        width = max(len(name) for rows in sections.values() for name, _ in rows)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", summary) for name, summary in rows])
        with formatter.section("Options"):
            records = (param.get_help_record(ctx) for param in self.get_params(ctx))
            formatter.write_dl([record for record in records if record])


def _refuse_setting(error: Any, values: dict[str, Any]) -> None:
    """Raise ConfigError if an error is about a value of a setting, in the words of all settings."""
    from microgpt import FIELDS, check_setting, flag

    param = getattr(error, "param", None)
    if param and param.name in FIELDS and values.get(param.name):
        check_setting(param.name, values[param.name], flag(param.name))


def _refuse_repeated(params: Sequence[Any]) -> None:
    """Raise ConfigError if an option with one value is given more than once."""
    for param in params:
        takes_one = isinstance(param, TyperOption) and not (param.multiple or param.is_flag)
        if takes_one and params.count(param) > 1:
            raise ConfigError(f"{param.opts[0]} is given more than once; it takes one value")


def _shorten(text: str) -> str:
    """Return the first sentence of a help text and its default."""
    sentence, _, _ = text.partition(".  ")[0].partition(". ")
    default = re.search(r"  (\[[^]]+\])$", text)
    return f"{sentence.rstrip('.')}.{f'  {default[1]}' if default else ''}"


def _show_all(ctx: typer.Context, requested: bool) -> None:
    if requested:
        print(cast(GroupedCommand, ctx.command).help_of_all(ctx))
        raise typer.Exit


def _shared(
    help_all: bool = eager(False, "Show all options and exit.", "--help-all", callback=_show_all),
) -> None:
    """The option added to each command that has hidden options."""


def command_group(help: str) -> typer.Typer:
    """Return a command group that prints its help if there is no subcommand."""
    group = typer.Typer(cls=SectionedGroup, rich_markup_mode=None, invoke_without_command=True)

    @group.callback(help=help)
    def _root(ctx: typer.Context) -> None:
        if ctx.invoked_subcommand is None:
            print(ctx.get_help())

    return group
