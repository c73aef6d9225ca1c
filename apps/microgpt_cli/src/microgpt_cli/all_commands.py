"""The typer app with the commands of all installed packages."""

import ast
import sys
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, version
from typing import Any

import typer
from typer.core import TyperGroup

from microgpt import ConfigError, find_plugins, plugin
from microgpt import package as package_of
from microgpt_cli.terminal.help import GroupedCommand
from microgpt_cli.terminal.options import option

SETTINGS = {"help_option_names": ["-h", "--help"]}

# The commands that the help lists first, in the order in which a newcomer uses them.
_FIRST = ("train", "generate", "chat", "play", "info", "course", "evolve", "serve")
# Commands that the documentation or error messages mention, and the packages that provide them. If
# such a package is not installed, the error message names it.
_FOUNDING = {
    **dict.fromkeys(("evolve", "sweep", "analyze", "run", "judge"), "microgpt-evolution"),
    "serve": "microgpt-serve",
    "import": "microgpt-exports",
}


class _Commands(TyperGroup):
    """The commands of all installed packages; the module of a command is imported on first use."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: dict[str, Any] = dict.fromkeys(find_plugins("commands"))

    def get_command(self, ctx: Any, cmd_name: str) -> Any | None:
        """Import and return a command, or None if no package has a command of this name."""
        function = plugin("commands", cmd_name)
        if function is None:
            if package := _FOUNDING.get(cmd_name):
                where = f"the command {cmd_name} is in {package}, which is not installed"
                raise ConfigError(f"{where}; install this package")
            if len(found := [name for name in self.commands if name.startswith(cmd_name)]) == 1:
                raise ConfigError(f"no such command {cmd_name!r}; did you mean {found[0]!r}?")
            return None
        if isinstance(function, typer.Typer):
            command: Any = typer.main.get_group(function)
            command.name = cmd_name
            return command
        epilog = "\n".join(getattr(function, "examples", ()))
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=SETTINGS)
        alone.command(cmd_name, cls=GroupedCommand, epilog=epilog)(function)
        return typer.main.get_command(alone)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the main commands, then all others by package, then the options."""
        found = find_plugins("commands")
        sections = {"Start": [found[name] for name in _FIRST if name in found]}
        others = (each for name, each in found.items() if name not in _FIRST)
        for each in sorted(others, key=lambda each: (package_of(each), each.name)):
            sections.setdefault(package_of(each), []).append(each)
        width = max(map(len, found))
        for title, entries in sections.items():
            with formatter.section(title):
                formatter.write_dl([(f"{each.name:<{width}}", summary(each)) for each in entries])
        with formatter.section("Options"):
            records = (param.get_help_record(ctx) for param in self.get_params(ctx))
            formatter.write_dl([record for record in records if record])


def summary(found: EntryPoint) -> str:
    """Return the description of a command from its module's docstring, without importing it."""
    name, path = "", None
    spec: Any = None
    try:
        for part in found.module.split("."):
            name = f"{name}.{part}".lstrip(".")
            spec = PathFinder.find_spec(name, path)
            path = spec.submodule_search_locations
        text = ast.get_docstring(ast.parse(spec.loader.get_source(name)))
    except (AttributeError, ImportError, SyntaxError, OSError, ValueError):
        return f"(cannot be read; repair or uninstall {package_of(found)})"
    line = (text or "").partition("\n")[0].removeprefix(f"`microgpt {found.name}`: ")
    return line[:1].upper() + line[1:]


def commands() -> typer.Typer:
    """Return the app with the commands of all packages."""
    app = typer.Typer(
        cls=_Commands,
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=SETTINGS,
    )
    app.callback(epilog="Start with: microgpt train && microgpt generate")(_root)
    return app


def _root(
    ctx: typer.Context,
    shows_version: bool = option(False, "Print the version and exit.", "--version"),
) -> None:
    """Train a small GPT on your own text, sample from it, and chat with it."""
    if shows_version:
        print(f"microgpt {version('microgpt-cli')}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def app() -> int:
    """Run the command in `sys.argv` and return its exit code.

    Unlike typer's `main`, it does not handle closed pipes or Ctrl-C; `microgpt_cli.main` does.
    """
    command = typer.main.get_command(commands())
    command._main_shell_completion({}, "microgpt")  # exits if a shell asks for completions
    try:
        with command.make_context("microgpt", sys.argv[1:]) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    return 0
