"""Charts and notebook views of results, drawn by an optional package.

The library does not depend on Altair. A plotting package has two entry points in the group
`microgpt.plotting`: `chart` and `html`, which take a result. One such package is microgpt-report.
"""

from collections.abc import Callable
from typing import Any

from microgpt.errors import MicrogptError
from microgpt.plugins import plugin


class Plottable:
    """Base class of results that notebooks display as charts."""

    def plot(self) -> Any:
        """Return an Altair chart; `result.plot().save("losses.png")` saves an image.

        Raises:
            MicrogptError: microgpt-report[plots] is not installed, or there is nothing to plot.
        """
        return _function("chart")(self)

    def _repr_html_(self) -> str | None:
        """Return HTML with the chart and samples, or None if they cannot be drawn."""
        try:
            page: str = _function("html")(self)
        except MicrogptError:
            return None
        return page


def _function(name: str) -> Callable[[object], Any]:
    try:
        function: Callable[[object], Any] | None = plugin("plotting", name)
    except ImportError as error:
        raise MicrogptError(
            f"plotting requires the plots extra ({error}); "
            "run: pip install 'microgpt-report[plots]'"
        ) from error
    if function is None:  # the package is not on the public index
        raise MicrogptError(
            "plotting requires the package microgpt-report; "
            "in a clone, run: pip install ./evolution './apps/microgpt_report[plots]'"
        )
    return function
