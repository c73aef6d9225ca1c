"""Run or resume a search of `microgpt evolve`, and save the winner."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

from microgpt import (
    Fitting,
    Given,
    InferenceGpt,
    OnEvent,
    Split,
    TimeLimit,
    choose_settings,
    count,
    count_params,
    in_short,
)
from microgpt_cli.terminal.console import note, print_or_discard, say, terminal_safe
from microgpt_cli.terminal.progress_bar import load_kernels
from microgpt_evolution.budgeted.budgeted_search import BudgetedSearch
from microgpt_evolution.budgeted.planning import longer_budget, plan_search
from microgpt_evolution.commands.progress import StudyProgress
from microgpt_evolution.commands.study import limits_of, open_study
from microgpt_evolution.commands.winner import Winner
from microgpt_evolution.generation_search import SearchEvent, run_search
from microgpt_evolution.genome_file import GENOME, GenomeRecord, write_genome
from microgpt_evolution.search_log import describe, winner_table
from microgpt_evolution.strategies.contestant import Contestant
from microgpt_evolution.strategies.population import rank
from microgpt_evolution.strategies.surrogate import SMALLEST
from microgpt_evolution.study_settings import BudgetedSettings, SearchSettings

N_SAMPLES = 10  # number of samples of the winner to print


def run_generations(given: Given) -> None:
    """Run or resume a search by generations."""

    def plan(_: Split, facts: dict[str, Any], n_workers: int) -> SearchSettings:
        return SearchSettings.begin(given, **facts)

    winner = Winner.of(given)
    with (
        open_study(given, SearchSettings, plan, winner=winner) as (study, parts, pool),
        study.log.open("w", encoding="utf-8", errors="backslashreplace") as file,
        StudyProgress() as progress,
    ):

        def log(line: str) -> None:
            """Write a line to the log, and print it in place of the progress."""
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
        result = run_search(parts, pool, study, log, on_event)
        progress.stop()
        winner.write(result.record)
        assert result.winner.evaluation
        for line in winner_table(result.winner.evaluation, result.fresh, settings):
            log(line)
        for name in result.names:
            log(f"> {name}")
        winner.train(study)


def _follow(progress: StudyProgress, mark: str, is_traced: bool, event: SearchEvent) -> None:
    """Print a line for each organism, or show the progress of a search and the first failures."""
    new, populations = event.organism, event.search.populations.items()
    if is_traced:
        if new:
            say(describe(new, mark))
        return
    if new and new.evaluation and new.evaluation.status != "diverged":
        progress.remark(f"organism {new.id}", new.evaluation)
    best = [
        f"{name} {rank([first for first, *_ in each.generations])[0].worth:.4f}{mark}"
        for name, each in populations
        if each.generations
    ]
    progress.update(event.n_measured, event.n_left, ", ".join(best) or "no champion yet")


def run_budgeted(given: Given, started: float) -> None:
    """Run or resume a search with a budget, whose --minutes count from when it started."""
    minutes = given.get("minutes")
    limit = TimeLimit(minutes, started, load_kernels=load_kernels) if minutes else None

    def plan(parts: Split, facts: dict[str, Any], n_workers: int) -> BudgetedSettings:
        alone = {**limits_of(given), "text": facts["text"], "single": True}
        single = choose_settings(Fitting(parts, alone), limit)
        n_workers = min(SMALLEST, n_workers) if limit else 1
        return plan_search(parts, single, n_workers, facts)

    winner = Winner.of(given)
    with (
        open_study(given, BudgetedSettings, plan, limit=limit, winner=winner) as opened,
        StudyProgress() as progress,
    ):
        study, parts, pool = opened
        budget = None
        if "resume" in given and limits_of(given):
            seconds = max(0.0, limit.seconds_left()) if limit else 0.0
            seconds *= min(SMALLEST, pool.n_workers())
            budget = longer_budget(study, given.get("budget"), seconds, note)
        settings = study.settings
        print_or_discard(
            f"Search: {in_short(budget or settings.budget)} operations, "
            f"{in_short(settings.operations, 2)} for a complete training run, seed "
            f"{settings.seed}, {count(pool.n_workers(), 'worker')}; run: {study.directory}"
        )
        follow = partial(_follow_budget, progress)
        search = BudgetedSearch(parts, pool, study, on_event=follow, limit=limit, budget=budget)
        search.run()
        progress.stop()
        _save_winner(search, winner)


def _follow_budget(progress: StudyProgress, search: BudgetedSearch) -> None:
    """Show the share of the operations, the best loss and the time left."""
    if search.last:
        progress.remark(f"organism {search.last.id}", search.last)
    mark = search.study.settings.mark()
    best = f"best {search.best.loss:.4f}{mark}" if search.best else "no loss yet"
    figures, spent = f"{best} | generation {search.strategy.generation}", search.spent
    progress.update(spent, max(0.0, search.budget - spent), figures, search.known)


def _save_winner(search: BudgetedSearch, winner: Winner) -> None:
    """Print the winner, write its genome and, with --train-winner, the better of it and a student.

    The test loss is measured only for the model that is kept.
    """
    settings, (best, trained) = search.study.settings, search.winner()
    record = _record_of(best, settings)
    write_genome(search.study.directory / GENOME, record)
    winner.write(record)
    unit = f"nats per character{settings.mark()}"
    print_or_discard(f"Winner: {best.id} ({best.origin}), {best.genome.describe()}")
    print_or_discard(
        f"{count_params(trained.model):,} weights, {trained.state.step:,} of "
        f"{trained.config.steps:,} steps: held-out loss {best.loss:.4f} {unit}"
    )
    with StudyProgress() as progress:
        follow = OnEvent(lambda e: progress.update(e.step, e.steps - e.step, "student"))
        student = search.student([follow])
    if student and student.val_loss and trained.val_loss:
        loss = student.val_loss * search.objective.tokens(best.genome.vocab_size).per_character
        print_or_discard(f"Student: held-out loss {loss:.4f} {unit}")
        if student.val_loss < trained.val_loss:
            trained = student
        else:
            note("the winner is better than its student and is kept")
    model = InferenceGpt(trained)
    test = model.evaluate(search.parts.test, text=settings.text)
    loss = test.bits_per_character * math.log(2)
    print_or_discard(f"Test loss: {loss:.4f} nats per character{settings.mark('test')}")
    for sample in model.generate(N_SAMPLES, temperature=1.0, seed=settings.seed):
        print_or_discard(f"> {terminal_safe(sample)}")
    winner.save(replace(trained, test_loss=test.loss), record)


def _record_of(best: Contestant, settings: BudgetedSettings) -> GenomeRecord:
    """Return the content of genome.json."""
    return GenomeRecord(
        version=3,
        genome=best.genome,
        operations=settings.operations,
        val_loss=best.loss,
        contamination=settings.contamination.get("validation") or None,
        generation=best.generation,
        text=settings.text,
        budget=settings.budget,
        gap=settings.gap if settings.text == "stream" else None,
        seed=settings.seed,
        data_sha256=settings.data_sha256,
    )
