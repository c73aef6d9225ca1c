"""`microgpt plot`: draw loss curves."""

from pathlib import Path

from microgpt_cli.charts import CHART_HELP, DEFAULT_FILES, write_curves
from microgpt_cli.terminal.console import terminal_safe
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import (
    DEFAULT_MODEL_DIR,
    MODEL_ARGUMENT,
    MODEL_OPTION,
    one_of,
    option,
)


@examples("microgpt plot my-model other-model")
def plot(
    models: list[Path] | None = MODEL_ARGUMENT,
    model_option: list[Path] | None = MODEL_OPTION,
    output: list[Path] | None = option(
        None, f"{CHART_HELP}  [default: {', '.join(map(str, DEFAULT_FILES))}]", metavar="<path>"
    ),
) -> None:
    """Plot the loss curves of training runs.

    Points show the held-out loss, and a ring marks the minimum. A faint line shows the training
    loss, and a dashed line shows the smoothed training loss. Unfinished runs are also plotted.
    """
    files = output or DEFAULT_FILES
    directories = one_of(models or None, model_option or None, "--model")
    write_curves(directories or [DEFAULT_MODEL_DIR], files)
    for file in files:
        print(terminal_safe(str(file)))
