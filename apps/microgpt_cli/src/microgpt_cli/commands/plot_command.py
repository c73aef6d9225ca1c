"""`microgpt plot`: draw loss curves."""

from pathlib import Path

from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import terminal_safe
from microgpt_cli.terminal.help import examples


@examples("microgpt train --model other --seed 1 && microgpt plot output other")
def plot(
    models: list[Path] | None = opt.MODEL_ARGUMENT,
    model_option: list[Path] | None = opt.MODEL_OPTION,
    output: list[Path] | None = opt.option(
        None, f"{opt.CHART_HELP}  [default: curves.png, curves.svg]", metavar="<path>"
    ),
) -> None:
    """Plot the loss curves of training runs.

    Points show the held-out loss, and a dashed line shows the smoothed training loss. Unfinished
    runs are also plotted. Losses per subword cannot be compared with losses per character.
    """
    from microgpt_cli.charts import check_files, draw, read_training_runs, write_chart

    files = output or [Path("curves.png"), Path("curves.svg")]
    directories = opt.one_of(models, model_option, "--model") or [opt.DEFAULT_MODEL_DIR]
    check_files(files)
    write_chart(draw(read_training_runs(directories)), files)
    for file in files:
        print(terminal_safe(str(file)))
