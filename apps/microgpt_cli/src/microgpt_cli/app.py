"""The typer app with all commands of `microgpt`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import typer

from microgpt.errors import ConfigError
from microgpt.plugins import plugin
from microgpt_cli.terminal.help import GroupedCommand, SectionedGroup
from microgpt_cli.terminal.options import eager

# Section, and function or group of subcommands in commands/NAME.py, with examples of its use.
_COMMANDS: dict[str, tuple[str, str, *tuple[str, ...]]] = {
    "train": (
        "Start",
        "train",
        "microgpt train",
        "microgpt train --data my.txt --model my-model --minutes 5",
        "microgpt train --chat --data my.jsonl --model my-chat",
    ),
    "generate": ("Start", "generate", "microgpt generate an -n 5"),
    "chat": ("Start", "chat", "microgpt chat 'what is 3 plus 4?'"),
    "play": ("Start", "play", "microgpt play", "microgpt play my-model"),
    "course": ("Start", "course"),
    "list": ("Start", "list_models", "microgpt list"),
    "info": ("Measure", "info", "microgpt info my-model"),
    "eval": ("Measure", "evaluate", "microgpt eval my-model --data held-out.txt"),
    "score": (
        "Measure",
        "score",
        "microgpt score my-model --data lines.txt --top 20",
        "tail -f app.log | microgpt score my-model --above 4",
    ),
    "explain": ("Measure", "explain", "microgpt explain my-model queen --plot queen.svg"),
    "plot": ("Measure", "plot", "microgpt plot my-model other-model"),
    "judge": ("Measure", "judge", "microgpt judge nannan lelel kamon"),
    "verify": ("Measure", "verify", "microgpt verify --steps 1000", "microgpt verify names.onnx"),
    "evolve": ("Experiment", "evolve", "microgpt evolve --train-winner winner"),
    "sweep": ("Experiment", "sweep"),
    "analyze": ("Experiment", "analyze", "microgpt analyze --output scaling.svg"),
    "report": ("Experiment", "report", "microgpt report experiments/evolve_20261120_120000"),
    "run": ("Experiment", "run", "microgpt run --genome genome.json --steps 1000"),
    "export": (
        "Ship",
        "export",
        "microgpt export my-model --output small-model --half",
        "microgpt export my-model --format onnx --output my-model.onnx",
    ),
    "import": (
        "Ship",
        "import_checkpoint",
        "microgpt import moonbase-output --model my-model",
        "microgpt import weights.json --n-head 4 --data names.txt --model my-model",
    ),
    "serve": ("Ship", "serve", "microgpt serve my-model --port 8080"),
    "dataset": ("Data", "dataset"),
}


_PACKAGES = {"play": "microgpt-page"}  # packages of commands that are not in commands/


class _Stopped(BaseException):
    """Wraps a BrokenPipeError or KeyboardInterrupt, so that typer does not handle the exception."""


@contextmanager
def _past_typer() -> Iterator[None]:
    try:
        yield
    except (BrokenPipeError, KeyboardInterrupt) as stop:
        raise _Stopped(stop) from stop


class _Commands(SectionedGroup):
    """Command group that lets `main` handle closed pipes and Ctrl-C."""

    make_context = _past_typer()(SectionedGroup.make_context)
    invoke = _past_typer()(SectionedGroup.invoke)


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        print(f"microgpt {version('microgpt-cli')}")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    version: bool = eager(
        False, "Print the version and exit.", "--version", callback=_print_version
    ),
) -> None:
    """Train a small GPT on your own text, sample from it, and chat with it."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def commands(first: str = "") -> typer.Typer:
    """Return the app with all commands, or with only `first` if that is a command.

    A single command starts faster, because typer inspects the options of all commands.
    """
    app = typer.Typer(
        cls=_Commands,
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(epilog="Start with: microgpt train && microgpt generate")(_root)
    for name in [first] if first in _COMMANDS else _COMMANDS:
        section, attribute, *examples = _COMMANDS[name]
        if name in _PACKAGES:
            command = plugin("commands", name)
        else:
            command = getattr(import_module(f"microgpt_cli.commands.{name}"), attribute)
        if command is None and name == first:
            message = f"the command {name} is in {_PACKAGES[name]}, which is not installed"
            raise ConfigError(f"{message}; install this package")
        if command is None:
            continue
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=section)
        else:
            epilog = "\n".join(examples)
            app.command(name, cls=GroupedCommand, epilog=epilog, rich_help_panel=section)(command)
    return app


def app() -> int:
    """Run the command given by the arguments and return the exit code."""
    try:
        return commands(*sys.argv[1:2])(standalone_mode=False) or 0
    except _Stopped as stopped:
        raise stopped.args[0] from None
