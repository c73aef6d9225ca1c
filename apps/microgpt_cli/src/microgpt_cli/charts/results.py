"""Charts of results: `result.plot()`.

The entry points of the group `microgpt.plotting` name what draws a result by its class, such as
`TrainResult`; Altair is imported when they draw.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from microgpt import MicrogptError, plugin
from microgpt_cli.charts import look


def chart(result: object) -> Any:
    """Return the Altair chart of a result; raise MicrogptError if there is nothing to plot."""
    return _chart(result).configure(**look.file_config())


def writer(files: Sequence[Path]) -> Callable[[object], None]:
    """Return a function that writes the chart of a result to .png and .svg files.

    Raises:
        ConfigError: a file is neither .png nor .svg.
    """
    look.check_files(files)
    return lambda result: look.write_chart(_chart(result), files)


def _chart(result: object) -> Any:
    look.check_plots()
    name = type(result).__name__
    draw = plugin("plotting", name)
    if draw is None:
        raise MicrogptError(f"a {name} cannot be plotted")
    return draw(result)
