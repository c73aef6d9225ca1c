"""Compare the winner of a search with a preset."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from microgpt import DivergedError, Split, TrainConfig
from microgpt_evolution.genome import LIMITS, PRIMORDIAL, Genome
from microgpt_evolution.objectives.loss_objective import N_SAMPLES, LossObjective
from microgpt_evolution.organism import Trial
from microgpt_evolution.search.evolve import EvolutionResult
from microgpt_evolution.search.retest import Retest, retest
from microgpt_evolution.search.search_records import SearchSettings
from microgpt_evolution.sweep.scaling import Mean
from microgpt_evolution.sweep.scaling_tables import columns, with_interval

PRESET = "karpathy"
CONFIG = TrainConfig()
AS_GENOME = replace(PRIMORDIAL, steps=CONFIG.steps, lr=CONFIG.lr_at(0))  # of the same shape


def describe_comparison(
    result: EvolutionResult, settings: SearchSettings, parts: Split
) -> Iterator[str]:
    """Train the preset with the seeds of the retested winner; yield the comparison line by line.

    The preset is trained twice: with its own number of steps, and with the number of steps that
    needs as many FLOPs as the winner, at most 10,000.
    """
    objective, measure = LossObjective.of(parts), result.winner.measure
    seeds = result.winner.fresh_seeds(settings.seed)
    n_samples = N_SAMPLES if measure else 0

    def flops(genome: Genome) -> int:
        return objective.flops(Trial(genome, seed=0))

    least, most = map(int, LIMITS["steps"])
    steps = round(CONFIG.steps * (flops(result.genome) / flops(AS_GENOME)))
    equal = replace(AS_GENOME, steps=min(max(steps, least), most))
    rows = [("winner", result.genome, result.retest)]
    for genome in (AS_GENOME, equal):
        try:
            tested = retest(genome, parts, seeds, n_samples=n_samples)
        except DivergedError:
            return
        rows.append((f"preset {PRESET}, {genome.steps:,} steps", genome, tested))
    score = [f"{measure} score".capitalize()] if measure else []
    yield ""
    yield f"--- Winner and Preset, {len(seeds)} Seeds ± 95 % Interval ---"
    yield f"Winner: {result.genome.describe().rstrip()}"
    yield from columns(
        ["", "GFLOP", f"Held out{settings.mark()}", f"Test{settings.mark('test')}", *score],
        [
            [
                name,
                f"{flops(genome) / 1e9:.3g}",
                with_interval(Mean.of(tested.val_losses)),
                with_interval(Mean.of(tested.test_losses)),
                *([with_interval(Mean.of(_worth(tested, measure)))] if measure else []),
            ]
            for name, genome, tested in rows
        ],
        left=[""],
    )
    ratio = flops(equal) / flops(result.genome)
    rest = "equal compute" if 0.95 < ratio < 1.05 else f"{ratio:.2g} times its compute"
    if equal.steps == most:
        rest += f" (the preset is trained for at most {most:,} steps)"
    yield _verdict(result.retest, rows[-1][2], measure, rest)


def _worth(tested: Retest, measure: str | None) -> Sequence[float]:
    """Return the scores, or the negated test losses, so that higher is always better."""
    if measure:
        return [scores.scores[measure] for scores in tested.scores]
    return [-loss for loss in tested.test_losses]


def _verdict(winner: Retest, preset: Retest, measure: str | None, compute: str) -> str:
    """Return a sentence that says whether the winner is better than the preset."""
    ours, theirs = _worth(winner, measure), _worth(preset, measure)
    if len(ours) == len(theirs):  # paired by seed
        lead = Mean.of([a - b for a, b in zip(ours, theirs, strict=True)])
    else:  # a seed diverged
        lead = Mean(fmean(ours) - fmean(theirs), None)
    what = f"{measure} score" if measure else "test loss"
    shown = with_interval(Mean(abs(lead.value), lead.half_width))
    verdict = f"The winner is {'better' if lead.value > 0 else 'worse'} than"
    if lead.half_width is None or abs(lead.value) <= lead.half_width:
        verdict = "No clear difference from"
    return f"{verdict} the preset with {compute}: {what} differs by {shown}."
