"""Charts and reports of results, drawn by an optional package.

The library does not depend on Altair. The package microgpt-report has these functions, as entry
points in the group `microgpt.plotting`:

    chart(result)               returns an Altair chart
    html(result)                returns HTML for a notebook
    writer(files)               returns a function that writes the chart of a result to files
    report(directories, file)   writes the HTML report of a search or of sweeps
"""

from collections.abc import Callable
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

        Raises:
            MicrogptError: microgpt-report[plots] is not installed, or there is nothing to plot.
        """
        return find_plotting("chart")(self)

    def _repr_html_(self) -> str | None:
        """Return HTML with the chart and samples, or None if they cannot be drawn."""
        try:
            page: str = find_plotting("html")(self)
        except MicrogptError:
            return None
        return page
