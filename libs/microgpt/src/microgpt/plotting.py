"""Charts of results, drawn by microgpt-cli and by the packages that have results of their own.

The entry points of the group `microgpt.plotting` are functions from a result to an Altair chart, by
the name of the result's class, and two of microgpt-cli:

    chart(result)   returns the chart in its look
    html(result)    returns HTML for a notebook
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
            "charts require the package microgpt-cli; run: pip install 'microgpt-cli[plots]'"
        )
    return function


class Plottable:
    """Base class of results that notebooks display as charts."""

    def plot(self) -> Any:
        """Return an Altair chart; `result.plot().save("losses.png")` saves an image.

        Raise MicrogptError if microgpt-cli[plots] is missing, or there is nothing to plot.
        """
        return find_plotting("chart")(self)

    def _repr_html_(self) -> str | None:
        """Return HTML with the chart and samples, or None if they cannot be drawn."""
        with suppress(MicrogptError):
            return str(find_plotting("html")(self))
        return None
