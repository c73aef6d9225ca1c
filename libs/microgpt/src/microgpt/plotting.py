"""Charts of results, drawn by microgpt-cli and by the packages that have results of their own.

The entry points of the group `microgpt.plotting` are functions from a result to an Altair chart, by
the name of the result's class, and `chart` of microgpt-cli, which returns it in its look.
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
            "charts require the package microgpt-cli; run: pip install 'microgpt-cli[plots]'"
        )
    return function


class Plottable:
    """Base class of results that can be plotted."""

    def plot(self) -> Any:
        """Return an Altair chart; `result.plot().save("losses.png")` saves an image.

        Raise MicrogptError if microgpt-cli[plots] is missing, or there is nothing to plot.
        """
        return find_plotting("chart")(self)
