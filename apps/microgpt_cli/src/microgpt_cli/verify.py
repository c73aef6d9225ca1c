"""`microgpt verify`: the proof that the arithmetic is right."""

from typing import Annotated

import typer

from microgpt_cli.progress import TrainingProgress
from microgpt_cli.streams import say


def verify(
    steps: Annotated[int, typer.Option(help="Steps of Karpathy's run to replay, up to 1000.")] = 20,
) -> None:
    """Check that the arithmetic is right.

    Gradients against finite differences, and Karpathy's run against what his script gives. With
    --steps 1000 the replay takes some 15 seconds and includes his twenty names.
    """
    from microgpt.verify import run_checks

    failed = 0
    with TrainingProgress(steps) as progress:
        for check in run_checks(steps=steps, on_event=progress.update):
            progress.stop()
            print(f"{'ok  ' if check.passed else 'FAIL'} {check.name}: {check.outcome}", flush=True)
            failed += not check.passed
    if failed:
        say(f"error: {failed} of the checks failed")
        raise typer.Exit(1)
