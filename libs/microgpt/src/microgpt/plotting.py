"""Charts and reports of results, drawn by the optional package microgpt-report.

It has these functions, as entry points in the group `microgpt.plotting`:

    chart(result)               returns an Altair chart
    html(result)                returns HTML for a notebook
    writer(files)               returns a function that writes the chart of a result to files
    report(directories, file)   writes the HTML report of a search or of sweeps
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from microgpt.errors import MicrogptError
from microgpt.plugins import plugin


def find_plotting(name: str) -> Callable[..., Any]:
    """Return a function of the plotting package; raise MicrogptError if it is not installed."""
    function: Callable[..., Any] | None = plugin("plotting", name)
    if function is None:
        raise MicrogptError(
            "charts and reports require the package microgpt-report; "
            "run: pip install 'microgpt-report[plots]'"
        )
    return function


class Plottable:
    """Base class of results that notebooks display as charts."""

    def plot(self) -> Any:
        """Return an Altair chart; `result.plot().save("losses.png")` saves an image.

        Raise MicrogptError if microgpt-report[plots] is missing, or there is nothing to plot.
        """
        return find_plotting("chart")(self)

    def _repr_html_(self) -> str | None:
        """Return HTML with the chart and samples, or None if they cannot be drawn."""
        with suppress(MicrogptError):
            return str(find_plotting("html")(self))
        return None
