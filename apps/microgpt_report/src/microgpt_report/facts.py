"""What a report is headed by: the run, its settings and its result."""

from microgpt_report.run_summary import RunSummary

N_HEX = 12  # of a fingerprint, enough to tell data apart
IMPORTED = "an imported log"


def facts(story: RunSummary) -> dict[str, str]:
    """Return what is told of a run, by name."""
    settings = story.settings
    found = {"result": _result(story)}
    if winner := story.winner:
        found["genome"] = " ".join(winner.genome.describe().split())
    found["evaluations"] = _evaluations(story)
    if (seed := story.run.settings.get("seed")) is not None:
        found["seed"] = str(seed)
    if settings:
        found["data"] = f"{settings.input}, sha256 {settings.data_sha256[:N_HEX]}…"
        found["population"] = (
            f"{settings.population}{' in each head' if settings.objective == 'hydra' else ''}, "
            f"{settings.n_generations} generations"
        )
        found |= {
            name: str(value)
            for name in ("fitness", "samples", "exchange", "head")
            if (value := getattr(settings, name)) is not None
        }
        if settings.warm_start:
            found["warm start"] = " ".join(settings.warm_start.describe().split())
    else:
        found["data"] = f"unknown: {IMPORTED}"
    return found


def _result(story: RunSummary) -> str:
    winner = story.winner
    if winner is None:
        return "nothing has finished"
    state = "" if story.is_complete else " so far: the search has not ended"
    measure = story.measures[story.organisms[winner.id][0]]
    return f"{winner.id}, {measure.name} {winner.worth:.4f}{state}"


def _evaluations(story: RunSummary) -> str:
    entries = story.run.entries
    n_failed = sum(entry.evaluation.status != "ok" for entry in entries)
    text = f"{len(entries):,}{f', {n_failed:,} without a result' if n_failed else ''}"
    flops = [entry.flops for entry in entries if entry.flops is not None]
    seconds = [entry.seconds for entry in entries if entry.seconds is not None]
    if flops:
        text += f", {sum(flops):.2g} FLOPs, {sum(seconds):,.1f} s"
    return text
