"""`microgpt plot`: draw loss curves."""

from pathlib import Path

from microgpt import ConfigError
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import terminal_safe
from microgpt_cli.terminal.help import examples

DEFAULT_FILES = (Path("curves.png"), Path("curves.svg"))


@examples("microgpt plot my-model other-model")
def plot(
    models: list[Path] | None = opt.MODEL_ARGUMENT,
    model_option: list[Path] | None = opt.MODEL_OPTION,
    output: list[Path] | None = opt.option(
        None, f"{opt.CHART_HELP}  [default: {', '.join(map(str, DEFAULT_FILES))}]", metavar="<path>"
    ),
) -> None:
    """Plot the loss curves of training runs.

    Points show the held-out loss, and a ring marks the minimum. A faint line shows the training
    loss, and a dashed line shows the smoothed training loss. Unfinished runs are also plotted.
    """
    from microgpt import as_argument
    from microgpt_cli.charts.look import check_files, check_plots, write_chart
    from microgpt_cli.charts.training_runs import read_training_runs

    files = output or DEFAULT_FILES
    given = opt.one_of(models or None, model_option or None, "--model")
    directories = given or [opt.DEFAULT_MODEL_DIR]
    check_files(files)
    for directory in directories:
        if (directory / "settings.json").exists():
            how = f"draw it with: microgpt report {as_argument(directory)}"
            raise ConfigError(f"{directory} is a search or a sweep, not a model; {how}")
    runs = read_training_runs(directories)
    check_plots()
    from microgpt_cli.charts import loss_curves

    write_chart(loss_curves.draw(runs), files)
    for file in files:
        print(terminal_safe(str(file)))
