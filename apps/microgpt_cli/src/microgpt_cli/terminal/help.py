"""Plain-text help with grouped options; typer's help imports rich, which takes 0.2 s."""

from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption


class GroupedCommand(TyperCommand):
    """A command whose help groups its options by panel.

    If an option has several long names, the help and the errors show only the first; the others are
    the names of earlier versions.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._old_names: dict[str, str] = {}
        for param in self.params:
            new, *old = [name for name in param.opts if name.startswith("--")] or [""]
            self._old_names |= dict.fromkeys(old, new)
            param.opts = [name for name in param.opts if name not in old]

    def make_parser(self, ctx: Any) -> Any:
        """Return the parser, which also knows the old names of the options."""
        parser = super().make_parser(ctx)
        for old, new in self._old_names.items():
            parser._long_opt[old] = parser._long_opt[new]
        return parser

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line: [OPTIONS], then arguments such as [RUN]..."""
        arguments = [param for param in self.get_params(ctx) if isinstance(param, TyperArgument)]
        return ["[OPTIONS]", *map(_usage, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then one section per panel, in option order."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            if isinstance(param, TyperArgument):
                sections.setdefault("Arguments", []).append((param.display_name_raw, record[1]))
            else:
                panel = param.rich_help_panel if isinstance(param, TyperOption) else None
                sections.setdefault(panel or "Options", []).append(record)
        sections["Options"] = sections.pop("Options")  # --help and similar options come last
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _usage(argument: TyperArgument) -> str:
    name = argument.display_name_raw
    name = name if argument.required else f"[{name}]"
    return f"{name}..." if argument.nargs != 1 else name


def command_group(help: str) -> typer.Typer:
    """Return a command group that prints its help if there is no subcommand."""
    group = typer.Typer(rich_markup_mode=None, invoke_without_command=True)

    @group.callback(help=help)
    def _root(ctx: typer.Context) -> None:
        if ctx.invoked_subcommand is None:
            print(ctx.get_help())

    return group
