"""Report of sweeps, with the charts and the tables of `microgpt analyze`."""

from collections.abc import Sequence
from pathlib import Path

from microgpt import count, duration
from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_evolution.sweep import scaling_tables
from microgpt_evolution.sweep.config import SETTINGS, differing
from microgpt_evolution.sweep.scaling import Scaling
from microgpt_evolution.sweep.sweep_records import SweepSettings
from microgpt_report.charts.scaling import draw
from microgpt_report.page import Report, Section, change, cost, describe_data
from microgpt_report.setting_names import describe_settings
from microgpt_report.training_runs import labels


def sweep_report(directories: Sequence[Path]) -> Report:
    """Return a combined report of one or more sweeps.

    Raises:
        RunError: a sweep is damaged, there are no results, or the sweeps use different documents.
    """
    sweeps = scaling_tables.read_sweeps(directories, "report")
    # Sweeps may share training runs, which count once; a finished run counts rather than a failed.
    found = sorted((r for _, some in sweeps for r in some), key=lambda result: result.is_ok)
    results = [*{result.key: result for result in found}.values()]
    if not results:
        raise RunError(f"{directories[0]} has no results yet; try again later")
    scaling = Scaling.of(results, sweeps[0][0].contamination.get("validation", 0.0))
    headline, sections = "No training run has finished", list[Section]()
    if scaling.cells:
        losses = [cell.val_loss.value for cell in scaling.cells]
        took = duration(sum(result.seconds for result in results))
        how = f"{count(len(losses), 'configuration')} in {took} of training"
        headline = f"Held-out loss{scaling.mark} {change(max(losses), min(losses))}, {how}"
        chart = Section(
            "scaling",
            "Scaling of the loss",
            "Means over the seeds with 95 % confidence intervals.",
            draw(scaling),
        )
        tables = Section(
            "tables",
            "Tables",
            "The output of microgpt analyze.",
            text="\n".join(scaling_tables.as_text(scaling)),
        )
        sections = [chart, tables]
    facts = _facts([settings for settings, _ in sweeps], results, scaling)
    return Report(headline, f"Sweep: {' and '.join(labels(directories))}", facts, sections)


def _facts(
    sweeps: Sequence[SweepSettings], results: Sequence[TrialRecord], scaling: Scaling
) -> dict[str, str]:
    finished = [result for result in results if result.is_ok]
    n_asked = len({task for sweep in sweeps for task in sweep.tasks})
    seeds = sorted({seed for sweep in sweeps for seed in sweep.seeds})
    facts = {}
    if scaling.front:
        best = scaling.front[-1]
        loss = scaling_tables.with_interval(best.val_loss)
        facts["result"] = f"held-out loss {loss}{scaling.mark}"
        names = {*scaling_tables.SIZE, "steps", "lr", *differing([best.config, Genome()])}
        values = values_of(best.config, [name for name in SETTINGS if name in names])
        facts["configuration"] = describe_settings(values)
    return facts | {
        "training runs": f"{len(finished):,} of {n_asked:,} finished",
        "cost": cost(sum(r.flops for r in finished), sum(r.seconds for r in results)),
        "sweep": ", ".join(dict.fromkeys(sweep.sweep for sweep in sweeps)),
        "seeds": ", ".join(map(str, seeds)),
        "data": describe_data(sweeps[0].input, sweeps[0].data_sha256),
    }
