"""Summary of a search for reports: generations, measures, champions and winner."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import cast

from microgpt_evolution.errors import RunError
from microgpt_evolution.genome import Genome
from microgpt_evolution.objectives.hydra_heads import HEADS, HeadName
from microgpt_evolution.population import POPULATION, Evaluation, Organism, Provenance, rank
from microgpt_evolution.runs.evaluation_record import EvaluationRecord
from microgpt_evolution.runs.records import RecordedRun, read_recorded
from microgpt_evolution.runs.run_directory import EVALUATIONS
from microgpt_evolution.search.aesthetic_search import JUDGE
from microgpt_evolution.search.replay import Generation, replay
from microgpt_evolution.search.retest_file import RetestFile, read_retest
from microgpt_evolution.search.settings import SearchSettings
from microgpt_report.setting_names import describe_settings

LOSSES = {"held-out": "held-out loss", "last-doc": "loss of the last document"}
CONFIRM, PRIMORDIAL = "confirm", "primordial"  # origins of evaluations outside the population
N_HEX = 12  # number of SHA-256 digits shown


@dataclass(frozen=True)
class Measure:
    """The value by which a population is ranked."""

    name: str
    score: str | None = None  # key in `Scores.scores`; None in loss searches, which use the fitness

    @property
    def title(self) -> str:
        """The name of the measure, with the unit for a loss."""
        return f"{self.name}, nats per token" if self.is_loss else self.name

    @property
    def is_loss(self) -> bool:
        """Whether the measure is a loss, so that lower is better."""
        return self.score is None

    @property
    def better(self) -> str:
        """The better direction: "lower" or "higher"."""
        return "lower" if self.is_loss else "higher"

    def of(self, evaluation: Evaluation) -> float | None:
        """Return the value of an evaluation, or None for a failure or a missing score."""
        if evaluation.status != "ok":
            return None
        if self.score is None:
            return evaluation.fitness
        return evaluation.scores.scores.get(self.score) if evaluation.scores else None


@dataclass(frozen=True)
class RunSummary:
    """The records of a search, and the generations reconstructed from these records."""

    name: str  # shortened but unambiguous path of the run directory
    run: RecordedRun
    settings: SearchSettings | None  # None for imported runs
    generations: Sequence[Generation]  # all generations recorded so far
    retest: RetestFile | None  # retest of the winner; None until the search has ended

    @property
    def objective(self) -> str:
        """The objective of the search. Imported logs are always loss searches."""
        return self.settings.objective if self.settings else "loss"

    @property
    def last_generation(self) -> int:
        """The number of the last generation. Numbers in imported logs need not start at 1."""
        return max(generation.number for generation in self.generations)

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """The measure of each population, by population name."""
        names = dict.fromkeys(
            name for g in self.generations for name, ranked in g.populations.items() if ranked
        )
        if self.objective == "hydra":
            heads = {name: HEADS[cast(HeadName, name)] for name in names}
            return {n: Measure(f"{head.title} score", n) for n, head in heads.items()}
        if self.objective == "aesthetic":
            return {name: Measure("judge score", JUDGE) for name in names}
        loss = LOSSES.get(str(self.run.settings.get("fitness")), "loss")
        return {name: Measure(loss) for name in names}

    @property
    def common(self) -> Measure:
        """The measure used for all organisms. In a Hydra search, this is the judge's score."""
        measures = list(self.measures.values())
        return measures[0] if len(measures) == 1 else Measure("judge score", JUDGE)

    @cached_property
    def organisms(self) -> dict[str, tuple[str, Organism]]:
        """Map from organism ID to (population name, organism), including elites and migrants."""
        return {organism.id: (name, organism) for name, _, organism in self.ranked_organisms()}

    def ranked_organisms(self) -> Iterator[tuple[str, int, Organism]]:
        """Yield (population name, rank, organism) for each organism; ranks start at 0."""
        for generation in self.generations:
            for name, ranked in generation.populations.items():
                for place, organism in enumerate(ranked):
                    yield name, place, organism

    def knows(self, entry: EvaluationRecord) -> bool:
        """Return whether an evaluation belongs to the search or to its retest."""
        if entry.origin == CONFIRM:
            return len(entry.parents) == 1 and entry.parents[0] in self.organisms
        return entry.origin == PRIMORDIAL or entry.id in self.organisms

    def population_of(self, entry: EvaluationRecord) -> str:
        """Return the name of the population to which an evaluation belongs."""
        for id_ in (entry.id, *entry.parents):
            if id_ in self.organisms:
                return self.organisms[id_][0]
        return next(iter(self.measures))

    def worth(self, entry: EvaluationRecord) -> float | None:
        """Return the value of the population's measure for an evaluation."""
        return self.measures[self.population_of(entry)].of(entry.evaluation)

    def n_params(self, genome: Genome) -> int:
        """Return the number of parameters, excluding token embeddings if vocab_size is unknown."""
        if self.settings and self.settings.vocab_size:
            return genome.n_params(self.settings.vocab_size)
        return genome.n_params(1) - 2 * genome.n_emb

    @cached_property
    def pareto_front(self) -> set[str]:
        """The ids of all evaluations on the Pareto front of any population."""
        front: set[str] = set()
        for population, measure in self.measures.items():
            found = [
                (self.n_params(e.genome), value if measure.is_loss else -value, e.id)
                for e in self.run.entries
                if self.population_of(e) == population
                and e.origin not in (CONFIRM, PRIMORDIAL)
                and (value := self.worth(e)) is not None
            ]
            best = float("inf")
            for _, cost, id_ in sorted(found):
                if cost < best:
                    best = cost
                    front.add(id_)
        return front

    @cached_property
    def champions(self) -> dict[str, Organism]:
        """The best finished organism per population; the winner, if known, takes precedence."""
        best: dict[str, Organism] = {}
        for name, _, found in self.ranked_organisms():
            if found.has_finished and (name not in best or found.fitness < best[name].fitness):
                best[name] = found
        if self.retest and self.retest.id in self.organisms and self.objective != "hydra":
            name, organism = self.organisms[self.retest.id]
            best[name] = organism
        return best

    @property
    def winner(self) -> Organism | None:
        """The winner of the search, or the best organism so far if there is no winner yet."""
        if self.retest and self.retest.id in self.organisms:
            return self.organisms[self.retest.id][1]
        return next(iter(self.champions.values()), None)


def title_of(population: str) -> str:
    """Return the title of a Hydra head, or an empty string for other populations."""
    return HEADS[population].title if population in HEADS else ""  # type: ignore[index]


def read_run_summary(directory: Path, name: str) -> RunSummary:
    """Read a run and return a summary with the given name.

    Raises:
        RunError: the run does not exist, is damaged, or has no generations yet.
    """
    run = read_recorded(directory)
    return summarise(run, name, read_retest(run.directory))


def summarise(run: RecordedRun, name: str, retest: RetestFile | None = None) -> RunSummary:
    """Return the summary of a run; raise RunError if the run is damaged or has no generations."""
    if run.is_imported:
        return RunSummary(name, run, None, _imported_generations(run), retest)
    settings = SearchSettings.of(run)
    known = {(entry.genome, entry.seed): entry.evaluation for entry in run.entries}
    generations = replay(
        settings.search(), settings.n_generations, lambda genome, seed: known.get((genome, seed))
    )
    summary = RunSummary(name, run, settings, generations, retest)
    if unknown := [entry.id for entry in run.entries if not summary.knows(entry)]:
        raise RunError(
            f"{run.directory / EVALUATIONS}: {unknown[0]} does not belong to this search; the file "
            "was edited or was written by another version of microgpt"
        )
    if not generations:
        raise RunError(f"{run.directory} has no generations yet; try again later")
    return summary


def _imported_generations(run: RecordedRun) -> list[Generation]:
    """Reconstruct the generations of an imported run from ids of the form g<number>-<rank>."""
    organisms = []
    for entry in run.entries:
        place = re.fullmatch("g([0-9]{1,9})-([0-9]{1,9})", entry.id)
        if place is None:
            raise RunError(
                f"{run.directory / EVALUATIONS}: id {entry.id!r:.40} must consist of a "
                "generation and a rank, such as g3-1; import the log again"
            )
        origin, evaluation = cast(Provenance, entry.origin), entry.evaluation
        generation, slot = int(place[1]), int(place[2])
        organisms.append(Organism(entry.genome, origin, 0, generation, slot, evaluation=evaluation))
    return [
        Generation(number, {POPULATION: rank(list(found))})
        for number, found in groupby(organisms, key=lambda organism: organism.generation)
    ]


def describe_data(path: str, sha256: str) -> str:
    """Return the path and the SHA-256 fingerprint of a run's documents as text."""
    return f"{path}, sha256 {sha256[:N_HEX]}…"


def headline(summary: RunSummary) -> str:
    """Return the result of a search, such as "Held-out loss 2.52 → 2.31, evolved in 6 s …"."""
    winner = summary.winner
    if winner is None:
        return "No organism has finished"
    name = summary.organisms[winner.id][0]
    measure, end = summary.measures[name], winner.worth
    if again := _retested(summary.retest, measure):
        end = fmean(again)
    start, _ = _start(summary, name)
    found = f"{measure.name} {change(start, end)}"
    seconds = sum(entry.seconds or 0 for entry in summary.run.entries)
    how = f", evolved in {duration(seconds)} of training" if seconds else ", evolved"
    return found[0].upper() + found[1:] + how + ("" if _is_complete(summary) else " so far")


def change(start: float, end: float) -> str:
    """Format two numbers with as many decimals as distinguish them, such as "2.52 → 2.31"."""
    shown = [f"{start:.{n}f} → {end:.{n}f}" for n in (2, 3, 4)]
    return next((text for text in shown if len({*text.split(" → ")}) > 1), shown[-1])


def duration(seconds: float) -> str:
    """Format a duration in seconds, such as "6.1 s" or "1,204 s"."""
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:,.0f} s"


def cost(operations: float, seconds: float) -> str:
    """Format a cost, such as "52.3 GFLOP, 2.7 s of training"."""
    giga = operations / 1e9
    return f"{giga:{',.0f' if giga >= 999.5 else '.3g'}} GFLOP, {duration(seconds)} of training"


def facts(summary: RunSummary) -> dict[str, str]:
    """Return result, settings and cost, which are shown at the top of the report."""
    found = {"result": "no organism has finished"}
    if winner := summary.winner:
        name = summary.organisms[winner.id][0]
        start, what = _start(summary, name)
        found = {"start": f"{start:.4f}, {what}"}
        state = "" if _is_complete(summary) else " so far (the search has not ended)"
        measured = f"{summary.measures[name].name} {winner.worth:.4f} in the search"
        if again := _retested(summary.retest, summary.measures[name]):
            measured += f", {fmean(again):.4f} retested"
        found["winner"] = f"{winner.id}, {measured}{state}"
        found["genome"] = describe_settings(asdict(winner.genome))
    entries = summary.run.entries
    n_failed = sum(entry.evaluation.status != "ok" for entry in entries)
    found["evaluations"] = f"{len(entries):,}{f' ({n_failed:,} failed)' if n_failed else ''}"
    if flops := sum(entry.flops or 0 for entry in entries):  # imported logs record no FLOPs
        found["cost"] = cost(flops, sum(entry.seconds or 0 for entry in entries))
    if (seed := summary.run.settings.get("seed")) is not None:
        found["seed"] = str(seed)
    settings = summary.settings
    if settings is None:
        return found | {"data": "unknown (imported log)"}
    found["data"] = describe_data(settings.input, settings.data_sha256)
    each = " per head" if settings.objective == "hydra" else ""
    found["population"] = f"{settings.population}{each}, {settings.n_generations} generations"
    for name in ("fitness", "samples", "exchange", "head"):
        if (value := getattr(settings, name)) is not None:
            found[name] = str(value)
    if settings.warm_start:
        found["warm start"] = describe_settings(asdict(settings.warm_start))
    return found


def _is_complete(summary: RunSummary) -> bool:
    return summary.retest is not None or summary.run.is_imported


def _start(summary: RunSummary, population: str) -> tuple[float, str]:
    """Return the value from which a population started, and what was measured."""
    measure = summary.measures[population]
    for entry in summary.run.entries:
        if entry.origin == PRIMORDIAL and (worth := measure.of(entry.evaluation)) is not None:
            return worth, "primordial genome"
    everyone = (generation.populations.get(population, ()) for generation in summary.generations)
    finished = ([o.worth for o in ranked if o.has_finished] for ranked in everyone)
    return fmean(next(filter(None, finished))), "mean of the first generation"


def _retested(retest: RetestFile | None, measure: Measure) -> Sequence[float]:
    """Return the values of a measure in the retest, if there was one."""
    if retest is None:
        return ()
    if measure.score is not None:
        return retest.scores[measure.score].again if measure.score in retest.scores else ()
    of_last = measure.name == LOSSES["last-doc"]
    return (retest.last_loss if of_last else retest.val_loss).again
