"""Charts and notebook views of results: `result.plot()`, and the display in Jupyter.

These are the entry points of the group `microgpt.plotting`; Altair is imported when they draw.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import Explanation, InferenceGpt, MicrogptError, TrainResult
from microgpt_evolution.search.evolve import EvolutionResult
from microgpt_evolution.sweep.scaling import Scaling
from microgpt_report.look import (
    PNG_SCALE,
    check_files,
    check_plots,
    file_config,
    picture,
    write_chart,
)

if TYPE_CHECKING:
    import altair as alt

N_SAMPLES, MAX_TOKENS = 10, 200  # number and maximum length of samples in a notebook


def chart(result: object) -> "alt.TopLevelMixin":
    """Return the chart of a result; raise MicrogptError if there is nothing to plot."""
    configured: alt.TopLevelMixin = _chart(result).configure(**file_config())
    return configured


def writer(files: Sequence[Path]) -> Callable[[object], None]:
    """Return a function that writes the chart of a result to .png and .svg files.

    Raises:
        ConfigError: a file is neither .png nor .svg.
    """
    check_files(files)
    return lambda result: write_chart(_chart(result), files)


def _chart(result: object) -> Any:
    check_plots()
    from microgpt_report.charts import evaluations, explanation, loss_curves, scaling
    from microgpt_report.search_run import SearchRun
    from microgpt_report.training_runs import training_run_of

    if isinstance(result, TrainResult):
        return loss_curves.draw([training_run_of(result)])
    if isinstance(result, Scaling):
        return scaling.draw(result)
    if isinstance(result, Explanation):
        return explanation.draw(result)
    if not isinstance(result, EvolutionResult):
        raise MicrogptError(f"a {type(result).__name__} cannot be plotted")
    run = SearchRun("search", result.run.settings, result.run.lines)
    section = evaluations.by_generation(run, evaluations.evaluation_rows(run))
    assert section.chart
    return section.chart.properties(datasets=dict(section.datasets), title=section.title)


def as_html(result: object) -> str:
    """Return static HTML with the repr, the chart as an image, and samples."""
    from microgpt_report.page import escaped

    png = picture(_chart(result).to_dict(), "png")
    width = int.from_bytes(png[16:20]) // PNG_SCALE  # a PNG header stores the width at byte 16
    image = b64encode(png).decode()
    samples = "".join(f"<li>{escaped(sample)}</li>" for sample in _samples(result))
    return (
        f"<p>{escaped(repr(result))}</p>"
        f'<img alt="chart" width="{width}" src="data:image/png;base64,{image}">'
        f'<ol style="white-space: pre-wrap">{samples}</ol>'
    )


def _samples(result: object) -> Iterable[str]:
    """Return generated names or texts; none for chat models, which learn only replies."""
    if isinstance(result, EvolutionResult):
        return result.names
    if not isinstance(result, TrainResult) or result.tokenizer.is_chat:
        return ()
    model = InferenceGpt(result, engine=result.plan.engine)
    limit = MAX_TOKENS if result.model.block_size > MAX_TOKENS else None
    return model.generate(N_SAMPLES, max_tokens=limit, rng=result.rng())  # same seed as in `train`
