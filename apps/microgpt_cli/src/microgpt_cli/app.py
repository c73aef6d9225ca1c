"""The typer app with all commands of `microgpt`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from typer.core import TyperGroup

from microgpt_cli.commands.analyze import analyze
from microgpt_cli.commands.chat import chat
from microgpt_cli.commands.dataset import dataset
from microgpt_cli.commands.eval import evaluate
from microgpt_cli.commands.evolve import evolve
from microgpt_cli.commands.export import export
from microgpt_cli.commands.generate import generate
from microgpt_cli.commands.genome import genome
from microgpt_cli.commands.info import info
from microgpt_cli.commands.judge import judge
from microgpt_cli.commands.plot import plot
from microgpt_cli.commands.report import report
from microgpt_cli.commands.run import run
from microgpt_cli.commands.serve import serve
from microgpt_cli.commands.sweep import sweep
from microgpt_cli.commands.train import train
from microgpt_cli.commands.verify import verify
from microgpt_cli.terminal.help import GroupedCommand


class _Stopped(BaseException):
    """Wraps a BrokenPipeError or KeyboardInterrupt so that typer does not handle it."""


@contextmanager
def _past_typer() -> Iterator[None]:
    try:
        yield
    except (BrokenPipeError, KeyboardInterrupt) as stop:
        raise _Stopped(stop) from stop


class _Commands(TyperGroup):
    """Command group that lets `main` handle a closed pipe and Ctrl-C instead of typer."""

    make_context = _past_typer()(TyperGroup.make_context)
    invoke = _past_typer()(TyperGroup.invoke)


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
    """Train a small GPT on your own text, sample from it, chat with it."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def _add(command: Callable[..., None], example: str, name: str | None = None) -> None:
    commands.command(name, cls=GroupedCommand, epilog=f"Example: {example}")(command)


_add(train, "microgpt train --data my.txt --model my-model --steps 2000")
_add(generate, "microgpt generate an -n 5")
_add(chat, "microgpt chat 'what is 3 plus 4?'")
_add(info, "microgpt info my-model")
commands.add_typer(dataset, name="dataset")
_add(evaluate, "microgpt eval my-model --data held-out.txt", name="eval")
_add(evolve, "microgpt evolve --train-winner winner")
commands.add_typer(sweep, name="sweep")
_add(analyze, "microgpt analyze --output scaling.svg")
_add(judge, "microgpt judge nannan lelel kamon")
_add(export, "microgpt export --output small-model --half")
commands.add_typer(genome, name="genome")
_add(plot, "microgpt plot my-model other-model")
_add(report, "microgpt report --png pictures")
_add(run, "microgpt run --genome genome.json --steps 1000")
_add(serve, "microgpt serve --model output --port 8080")
_add(verify, "microgpt verify --steps 1000")


def app() -> int:
    """Run the command given by the arguments and return the exit code."""
    try:
        return commands(standalone_mode=False) or 0
    except _Stopped as stopped:
        raise stopped.args[0] from None
