"""Plain-text help with grouped options. Typer's help would import rich, which takes 0.2 s."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from microgpt import ConfigError

Command = TypeVar("Command", bound=Callable[..., None])
HELP_ALL = "--help-all"


def examples(*lines: str) -> Callable[[Command], Command]:
    """Return a decorator that adds examples to the end of a command's help."""

    def decorate(command: Command) -> Command:
        command.examples = lines  # type: ignore[attr-defined]
        return command

    return decorate


class GroupedCommand(TyperCommand):
    """A command whose help groups its options by panel.

    `--help` lists only the options that are not hidden, and `--help-all` lists all. A hidden option
    without help text is never listed, because a positional argument has the same effect.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        options = [param for param in self.params if isinstance(param, TyperOption)]
        self._rare = [option for option in options if option.hidden and option.help]
        for option in self._rare:
            option.hidden = False  # enables shell completion

    def get_help_option_names(self, ctx: Any) -> list[str]:
        """Return the names of the help options, including --help-all if options are hidden."""
        return [*ctx.help_option_names, *([HELP_ALL] if self._rare else [])]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the command; add a hint to the message of a usage error."""
        ctx.meta[HELP_ALL] = HELP_ALL in args
        values, extra, order = dict[str, Any](), list[str](), list[Any]()
        try:
            values, extra, order = self.make_parser(ctx).parse_args(list(args))
            rest = super().parse_args(ctx, list(args))
            self._check_paths(values, ctx.params)
        except typer.TyperException as error:
            error.ctx = getattr(error, "ctx", None) or ctx  # type: ignore[attr-defined]
            _refuse_setting(error, values)
            error.message = error.message.replace("Input should be", "must be")
            error.message += self._hint(error, values, extra)
            raise
        for param in order:
            takes_one = isinstance(param, TyperOption) and not (param.multiple or param.is_flag)
            if takes_one and order.count(param) > 1:
                raise ConfigError(f"{param.opts[0]} is given more than once; it takes one value")
        return rest

    def _check_paths(self, given: dict[str, Any], values: dict[str, Any]) -> None:
        """Replace `--data -` with standard input; raise BadParameter if a path is empty."""
        params: list[Any] = self.params
        for param in params:
            path = given.get(param.name)
            if path == "-" and "--data" in param.opts:
                values[param.name] = Path("/dev/stdin")
            is_path = param.type_descriptor.annotation in (Path, list[Path])
            if is_path and "" in (path if isinstance(path, list) else [path]):  # "" would mean "."
                raise typer.BadParameter("must not be empty; use . for this directory", param=param)

    def _hint(self, error: Any, given: dict[str, Any], extra: list[str]) -> str:
        """Return a hint to append to a usage error: the invalid value, or how to pass a file."""
        param = getattr(error, "param", None)
        value = given.get(param.name) if param else None
        if isinstance(value, str) and repr(value) not in error.message:
            return f", got {value!r:.80}"
        data = next((each.name for each in self.params if "--data" in each.opts), None)
        if param or not extra or not data:
            return ""
        if data in given or len(extra) > 1:
            return "; --data takes one path: pass a folder, or a pattern in quotes, like '*.txt'"
        return f"; to read a file, use --data {shlex.quote(extra[0])}"

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line, without brackets around [MODEL] [TEXT]."""
        pieces = super().collect_usage_pieces(ctx)
        return [re.sub(r"^\[(\[.*)\]\.\.\.$", r"\1", piece) for piece in pieces]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options: all options by panel, or only the common ones."""
        rare = [] if ctx.meta.get(HELP_ALL) else self._rare
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None or param in rare:
                continue
            if HELP_ALL in record[0]:
                record = record[0], "Show common or all options."
            if isinstance(param, TyperArgument):
                sections.setdefault("Arguments", []).append((param.display_name_raw, record[1]))
            elif rare:
                sections.setdefault("Options", []).append((record[0], _shorten(record[1])))
            else:
                panel = param.rich_help_panel if isinstance(param, TyperOption) else None
                sections.setdefault(panel or "Options", []).append(record)
        sections["Options"] = sections.pop("Options")  # list the section with --help last
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=24 if rare else 30)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, one per line."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write("\n    ".join(["  Examples:", *self.epilog.splitlines()]) + "\n")


class CommandGroup(TyperGroup):
    """A group of commands. Its help ends with the examples of the first command."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, each with the whole first sentence of its help."""
        with formatter.section("Commands"):
            commands = self.commands.values()
            formatter.write_dl([(each.name, each.get_short_help_str(999)) for each in commands])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples of the first command."""
        next(iter(self.commands.values())).format_epilog(ctx, formatter)


def command_group(help: str) -> typer.Typer:
    """Return a command group that prints its help if there is no subcommand."""
    group = typer.Typer(cls=CommandGroup, rich_markup_mode=None, invoke_without_command=True)

    @group.callback(help=help)
    def _root(ctx: typer.Context) -> None:
        if ctx.invoked_subcommand is None:
            print(ctx.get_help())

    return group


def _refuse_setting(error: Any, values: dict[str, Any]) -> None:
    """If a usage error is about a setting's value, raise `check_setting`'s ConfigError instead."""
    from microgpt import FIELDS, check_setting, flag

    param = getattr(error, "param", None)
    if param and param.name in FIELDS and values.get(param.name):
        check_setting(param.name, values[param.name], flag(param.name))


def _shorten(text: str) -> str:
    """Return the first sentence of an option's help text, and the default in brackets if given."""
    sentence, _, _ = text.partition(".  ")[0].partition(". ")
    default = re.search(r"  (\[[^]]+\])$", text)
    return f"{sentence.rstrip('.')}.{f'  {default[1]}' if default else ''}"
