"""The typer app with all commands of `microgpt`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from microgpt_cli.commands.analyze import analyze
from microgpt_cli.commands.cache import cache
from microgpt_cli.commands.chat import chat
from microgpt_cli.commands.dataset import dataset
from microgpt_cli.commands.eval import evaluate
from microgpt_cli.commands.evolve import evolve
from microgpt_cli.commands.export import export
from microgpt_cli.commands.generate import generate
from microgpt_cli.commands.genome import genome
from microgpt_cli.commands.info import info
from microgpt_cli.commands.judge import judge
from microgpt_cli.commands.list import list_saved
from microgpt_cli.commands.plot import plot
from microgpt_cli.commands.remove import remove
from microgpt_cli.commands.report import report
from microgpt_cli.commands.run import run
from microgpt_cli.commands.serve import serve
from microgpt_cli.commands.sweep import sweep
from microgpt_cli.commands.train import train
from microgpt_cli.commands.verify import verify
from microgpt_cli.terminal.help import GroupedCommand, SectionedGroup


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


commands = typer.Typer(
    cls=_Commands,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        print(f"microgpt {version('microgpt-cli')}")
        raise typer.Exit


@commands.callback(epilog="Start with: microgpt train && microgpt generate")
def _root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Train a small GPT on your own text, sample from it, and chat with it."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def _add(section: str, command: Callable[..., None], *examples: str, name: str = "") -> None:
    commands.command(
        name or command.__name__,
        cls=GroupedCommand,
        epilog="\n".join(examples),
        rich_help_panel=section,
    )(command)


_add(
    "Start",
    train,
    "microgpt train",
    "microgpt train --data my.txt --model my-model --steps 2000",
    "microgpt train --chat --data my.jsonl --model my-chat",
)
_add("Start", generate, "microgpt generate an -n 5")
_add("Start", chat, "microgpt chat 'what is 3 plus 4?'")
_add("Start", list_saved, "microgpt list", name="list")
_add("Start", remove, "microgpt remove my-model")
_add("Measure", info, "microgpt info my-model")
_add("Measure", evaluate, "microgpt eval my-model --data held-out.txt", name="eval")
_add("Measure", plot, "microgpt plot my-model other-model")
_add("Measure", judge, "microgpt judge nannan lelel kamon")
_add("Measure", verify, "microgpt verify --steps 1000")
_add("Experiment", evolve, "microgpt evolve --train-winner winner")
commands.add_typer(sweep, name="sweep", rich_help_panel="Experiment")
_add("Experiment", analyze, "microgpt analyze --output scaling.svg")
_add("Experiment", report, "microgpt report --png pictures")
commands.add_typer(genome, name="genome", rich_help_panel="Experiment")
_add("Experiment", run, "microgpt run --genome genome.json --steps 1000")
_add("Ship", export, "microgpt export my-model --output small-model --half")
_add("Ship", serve, "microgpt serve my-model --port 8080")
commands.add_typer(dataset, name="dataset", rich_help_panel="Data")
_add("Data", cache, "microgpt cache --clear")


def app() -> int:
    """Run the command given by the arguments and return the exit code."""
    try:
        return commands(standalone_mode=False) or 0
    except _Stopped as stopped:
        raise stopped.args[0] from None
