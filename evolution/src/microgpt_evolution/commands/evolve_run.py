"""Run or resume a search of `microgpt evolve`, and save the winner."""

import hashlib
import math
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from microgpt import (
    DirectoryLock,
    Given,
    InferenceGpt,
    MicrogptError,
    OnEvent,
    Split,
    TimeLimit,
    TrainResult,
    count,
    count_params,
    in_short,
    read_meta,
    save,
)
from microgpt_cli.baselines import baselines
from microgpt_cli.commands.train_command import train_as
from microgpt_cli.terminal.console import note, print_or_discard, say, terminal_safe
from microgpt_cli.training.replacement import check_replacement
from microgpt_cli.training.train_request import TrainRequest
from microgpt_evolution.budget_plan import plan_search
from microgpt_evolution.budgeted_search import BudgetedSearch
from microgpt_evolution.commands.study_options import DEFAULT_GENOME
from microgpt_evolution.commands.study_run import StudyProgress, open_study
from microgpt_evolution.evolution_errors import GenomeError, raised_as
from microgpt_evolution.generation_search import SearchEvent, run_search
from microgpt_evolution.genome_file import (
    GENOME,
    GenomeRecord,
    encode_genome,
    read_genome,
    score_of,
    write_genome,
)
from microgpt_evolution.search_log import describe, winner_table
from microgpt_evolution.strategies.organism import rank
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import BudgetedSettings, SearchSettings, read_settings

N_SAMPLES = 10  # number of the winner's samples to print


@dataclass(frozen=True)
class Winner:
    """The outputs of a search: genome.json and, with --train-winner, a model of the winner."""

    directory: Path | None  # value of --train-winner

    @classmethod
    def from_settings(cls, given: Given) -> Self:
        """Return the outputs of a new or resumed search, and check that they can be written.

        The check raises an error before the search starts.
        """
        directory, may_replace = given.get("train_winner"), "force" in given
        if "resume" in given:
            run = given["resume"]
            kept = read_settings(run).train_winner
            directory = directory or (Path(kept) if kept else None)
            may_replace |= cls(directory).is_saved(run)
        if directory:
            with DirectoryLock(directory):  # fails if the directory is not writable
                pass
            if not may_replace:
                check_replacement(directory, "--train-winner")
        if os.path.lexists(DEFAULT_GENOME) and "force" not in given:
            with raised_as(GenomeError, remedy="; rename the file, or replace it with --force"):
                read_genome(DEFAULT_GENOME)  # fails if the file is not a genome
        return cls(directory)

    def is_saved(self, run: Path) -> bool:
        """Return whether a run has genome.json and, if requested, the winner's model is saved."""
        with suppress(MicrogptError, OSError):
            genome = _checksum(read_genome(run / GENOME))
            directory = self.directory
            return directory is None or read_meta(directory).training.get("genome") == genome
        return False

    def write(self, record: GenomeRecord) -> None:
        """Write genome.json to the current directory, and print its path and its loss or score."""
        write_genome(DEFAULT_GENOME, record)
        print_or_discard(f"Genome of generation {record.generation} saved to {DEFAULT_GENOME}")
        how = "lowest of all trials" if record.is_budgeted else "measured with fresh seeds"
        note(f"{DEFAULT_GENOME} has {score_of(record)}, {how}")

    def train(self, study: Study[SearchSettings]) -> None:
        """Train a model with a search's genome, unless this model is already saved."""
        if self.directory and not self.is_saved(study.directory):
            names = ("seed", "column", "text", "val_fraction", "test_fraction")
            given = {k: value for k, value in study.settings if k in names and value is not None}
            path, genome = Path(study.settings.input), study.directory / GENOME
            train_as(
                TrainRequest(given, path, self.directory, genome=genome, force=True, num_samples=0)
            )

    def save(self, trained: TrainResult, record: GenomeRecord, losses: dict[str, float]) -> None:
        """Save a model of the search, with its baselines and the checksum of genome.json."""
        if self.directory:
            given = {"genome": _checksum(record)}
            plan = replace(trained.plan, given=given, baselines=losses)
            save(replace(trained, plan=plan), self.directory)
            note(f"the model is in {self.directory}")


def _checksum(record: GenomeRecord) -> str:
    return hashlib.sha256(encode_genome(record)).hexdigest()


def run_generations(given: Given) -> None:
    """Run or resume a search without a budget."""

    def plan(_: Split, facts: dict[str, Any], n_workers: int) -> SearchSettings:
        return SearchSettings.begin(given, **facts)

    winner = Winner.from_settings(given)
    with (
        open_study(given, SearchSettings, plan, is_saved=winner.is_saved) as (study, sets, pool),
        study.log.open("w", encoding="utf-8", errors="backslashreplace") as file,
        StudyProgress() as progress,
    ):

        def log(line: str) -> None:
            """Write a line to the log file, and print it in place of the progress line."""
            progress.stop()
            print_or_discard(line)
            print(line, file=file, flush=True)

        settings = study.settings
        print_or_discard(
            f"Search: {settings.objective}, {settings.generations} generations, population "
            f"{settings.population}, seed {settings.seed}, {count(pool.n_workers(), 'worker')}; "
            f"run: {study.directory}"
        )
        on_event = partial(_follow, progress, settings.fitness_mark, "trace" in given)
        result = run_search(sets, pool, study, log, on_event)
        progress.stop()
        winner.write(result.record)
        assert result.winner.evaluation
        for line in winner_table(result.winner.evaluation, result.fresh, settings):
            log(line)
        for name in result.names:
            log(f"> {name}")
        winner.train(study)


def _follow(progress: StudyProgress, mark: str, is_traced: bool, event: SearchEvent) -> None:
    """Print each organism if `is_traced`; otherwise, show the progress and the first failures."""
    new, populations = event.organism, event.search.populations.items()
    if is_traced:
        if new:
            say(describe(new, mark))
        return
    if new and new.evaluation and new.evaluation.status != "diverged":
        progress.remark(f"organism {new.id}", new.evaluation)
    best = [
        f"{name} {rank([first for first, *_ in each.generations])[0].figure:.4f}{mark}"
        for name, each in populations
        if each.generations
    ]
    progress.update(event.n_measured, event.n_left, ", ".join(best) or "no champion yet")


def run_budgeted(given: Given, started: float) -> None:
    """Run or resume a search with a budget; the time limit counts from `started`."""
    limits = {name: given[name] for name in ("minutes", "budget") if name in given}
    limit = TimeLimit(given["minutes"], started) if "minutes" in given else None
    winner = Winner.from_settings(given)

    def plan(sets: Split, facts: dict[str, Any], n_workers: int) -> BudgetedSettings:
        return plan_search(sets, limits, limit, n_workers, facts)

    with (
        open_study(given, BudgetedSettings, plan, limits, limit, winner.is_saved) as opened,
        StudyProgress() as progress,
    ):
        study, sets, pool = opened
        settings = study.settings
        print_or_discard(
            f"Search: {in_short(settings.budget)} operations, "
            f"{in_short(settings.operations, 2)} for a complete training run, seed "
            f"{settings.seed}, {count(pool.n_workers(), 'worker')}; run: {study.directory}"
        )
        follow = partial(_follow_budget, progress)
        search = BudgetedSearch(sets, pool, study, on_event=follow, limit=limit)
        search.run()
        progress.stop()
        _save_winner(search, winner)


def _follow_budget(progress: StudyProgress, search: BudgetedSearch) -> None:
    """Show the fraction of the budget that is spent, the best loss and the time left."""
    if search.last:
        progress.remark(f"organism {search.last.id}", search.last)
    mark = search.study.settings.mark()
    best = f"best {search.best.loss:.4f}{mark}" if search.best else "no loss yet"
    figures, spent = f"{best} | generation {search.strategy.generation}", search.spent
    progress.update(spent, max(0.0, search.budget - spent), figures, search.recorded)


def _save_winner(search: BudgetedSearch, winner: Winner) -> None:
    """Print the winner and write its genome; with --train-winner, save the winner or its student.

    The model with the lower held-out loss is kept, and only its test loss is measured.
    """
    settings, (best, trained) = search.study.settings, search.winner()
    record = search.save_genome(best)
    winner.write(record)
    unit = f"nats per character{settings.mark()}"
    print_or_discard(f"Winner: {best.id} ({best.origin}), {best.genome.describe()}")
    print_or_discard(
        f"{count_params(trained.model):,} weights, {trained.state.step:,} of "
        f"{trained.config.steps:,} steps: best held-out loss {best.loss:.4f} {unit}"
    )
    with StudyProgress() as progress:
        follow = OnEvent(lambda e: progress.update(e.step, e.steps - e.step, "student"))
        student = search.student([follow])
    if student and student.val_loss and trained.val_loss:
        loss = student.val_loss * search.objective.tokens(best.genome.vocab_size).per_character
        print_or_discard(f"Student: held-out loss {loss:.4f} {unit}")
        is_better = student.val_loss < trained.val_loss
        trained = student if is_better else trained
        note(f"the {'student' if is_better else 'winner'} is better and is kept")
    model = InferenceGpt(trained)
    test = model.evaluate(search.sets.test, text=settings.text)
    loss = test.bits_per_character * math.log(2)
    search.study.change(test_loss=loss)
    print_or_discard(f"Test loss: {loss:.4f} nats per character{settings.mark('test')}")
    for sample in model.generate(N_SAMPLES, temperature=1.0, seed=settings.seed):
        print_or_discard(f"> {terminal_safe(sample)}")
    losses = baselines(search.sets, settings.text)
    winner.save(replace(trained, test_loss=test.loss), record, losses)
