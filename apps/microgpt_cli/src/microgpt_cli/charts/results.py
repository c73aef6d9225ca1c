"""Charts and notebook views of results: `result.plot()`, and the display in Jupyter.

The entry points of the group `microgpt.plotting` name what draws a result by its class, such as
`TrainResult`; Altair is imported when they draw.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from microgpt import InferenceGpt, MicrogptError, TrainResult, plugin
from microgpt_cli.charts import look

N_SAMPLES, MAX_TOKENS = 10, 200  # number and maximum length of samples in a notebook


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


def as_html(result: object) -> str:
    """Return static HTML with the repr, the chart as an image, and samples."""
    png = look.picture(_chart(result).to_dict(), "png")
    width = int.from_bytes(png[16:20]) // look.PNG_SCALE  # a PNG header stores the width at byte 16
    image = b64encode(png).decode()
    samples = "".join(f"<li>{escape(sample)}</li>" for sample in _samples(result))
    return (
        f"<p>{escape(repr(result))}</p>"
        f'<img alt="chart" width="{width}" src="data:image/png;base64,{image}">'
        f'<ol style="white-space: pre-wrap">{samples}</ol>'
    )


def _samples(result: object) -> Iterable[str]:
    """Return generated names or texts; none for chat models, which learn only replies."""
    if not isinstance(result, TrainResult):
        return getattr(result, "names", ())
    if result.tokenizer.is_chat:
        return ()
    model = InferenceGpt(result, engine=result.plan.engine)
    limit = MAX_TOKENS if result.model.block_size > MAX_TOKENS else None
    return model.generate(N_SAMPLES, max_tokens=limit, rng=result.rng())  # same seed as in `train`
