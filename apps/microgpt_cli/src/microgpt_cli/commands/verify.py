"""`microgpt verify`: check the gradients and the engines."""

from typing import get_args

import typer

from microgpt.config import DType, EngineName
from microgpt_cli.terminal.console import say
from microgpt_cli.terminal.options import option
from microgpt_cli.terminal.progress import TrainingProgress, load_kernels


def verify(
    steps: int | None = option(
        None,
        "Number of steps of Karpathy's run to replay, at most 1000.  "
        "[default: 1000 compiled, 20 reference]",
    ),
    engine: EngineName | None = option(None, "Engine to check.  [default: both]"),
) -> None:
    """Check the gradients and losses of the engines.

    Compare the reference engine's gradients with finite differences, the compiled engine's loss and
    gradients with the reference engine, and the losses of both engines with Karpathy's run. With
    --steps 1000, the reference engine takes about 15 seconds.
    """
    from microgpt.config import Use
    from microgpt.edited_sources import edited_sources
    from microgpt.verify.checks import KARPATHY, run_checks

    if engine != "reference" and not edited_sources():
        uses: list[Use] = ["training", "decoding"]
        load_kernels("compiled", *get_args(DType), uses=uses)
    failed = 0
    with TrainingProgress(KARPATHY.steps) as progress:
        for check in run_checks(steps=steps, engine=engine, on_event=progress.update):
            progress.restart()
            print(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.outcome}", flush=True)
            failed += not check.passed
    if failed:
        say(f"error: failed checks: {failed}")
        raise typer.Exit(1)
