"""`microgpt verify`: check the gradients and the engines, or an exported model."""

import os
from pathlib import Path

import typer

from microgpt import CheckpointError, ConfigError, EngineName, PluginError, find_plugins
from microgpt_cli.terminal.console import print_or_discard, say
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import argument, option


@examples("microgpt export -o names.c && microgpt verify names.c", "microgpt verify")
def verify(
    file: Path | None = argument(None, "File or directory written by `microgpt export`.", "PATH"),
    steps: int | None = option(
        None,
        "Number of steps of Karpathy's run to replay, at most 1000.  "
        "[default: 1000; reference: 20]",
    ),
    engine: EngineName | None = option(None, "Engine to check.  [default: compiled and reference]"),
) -> None:
    """Check the engines, or an exported model.

    Compare the reference engine's gradients with finite differences, and the losses and names of
    both engines with Karpathy's run. With --steps 1000, the reference engine takes about 15
    seconds.

    With a PATH, run the exported model instead, in a program for its format such as onnxruntime,
    and compare its log-probabilities with those that microgpt recorded in the export's receipt.
    """
    if file is None:
        _verify_engines(steps, engine)
    elif steps is not None or engine is not None:
        raise ConfigError("--steps and --engine cannot be used with a PATH; omit them")
    else:
        _verify_file(file)


def _verify_engines(steps: int | None, engine: EngineName | None) -> None:
    """Print the outcome of each check of the engines; exit with code 1 if a check failed."""
    from microgpt_cli.engine_checks import run_checks

    failed = 0
    for check in run_checks(steps=steps, engine=engine):
        print(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.outcome}", flush=True)
        failed += not check.passed
    if failed:
        say(f"error: failed checks: {failed}")
        raise typer.Exit(1)


def _verify_file(file: Path) -> None:
    """Run an exported model in another program; print how its results differ from microgpt's."""
    from microgpt import blaming, plugin

    if not os.path.lexists(file):
        raise CheckpointError(f"{file} does not exist")
    names, broken = [], None
    for name, entry in find_plugins("exports").items():
        try:
            found = plugin("exports", name)
        except PluginError as error:
            broken = error
            continue
        if not (found and found.verify):
            continue
        names.append(name)
        with blaming(entry, "failed"):
            verdict = found.verify(file)
        if verdict:
            print_or_discard("\n".join(verdict.lines))
            if not verdict.passed:
                say(f"error: {file} does not compute what its model computes")
                raise typer.Exit(1)
            return
    if broken:
        raise broken
    if not names:
        raise ConfigError("`verify PATH` requires the package microgpt-exports; install it")
    raise CheckpointError(
        f"{file} is in none of the formats {', '.join(names)}; write it with `microgpt export`"
    )
