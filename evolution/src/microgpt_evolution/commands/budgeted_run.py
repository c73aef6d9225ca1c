"""Run or resume the search of `microgpt evolve --minutes`, and save the winner."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from microgpt import (
    DataError,
    Fitting,
    Given,
    InferenceGpt,
    OnEvent,
    Split,
    TimeLimit,
    TrainEvent,
    TrainResult,
    choose_settings,
    count,
    count_params,
    hold_out,
    in_short,
    path_from_text,
)
from microgpt_cli.terminal.console import note, print_or_discard, terminal_safe
from microgpt_evolution.budgeted.budgeted_search import BudgetedSearch
from microgpt_evolution.budgeted.planning import longer_budget, plan_search
from microgpt_evolution.commands import winner
from microgpt_evolution.commands.progress import StudyProgress
from microgpt_evolution.commands.study import Documents, limits_of, open_study
from microgpt_evolution.errors import NoWinnerError
from microgpt_evolution.genome_file import GENOME, GenomeRecord, write_genome
from microgpt_evolution.strategies.surrogate import SMALLEST
from microgpt_evolution.study_settings import BudgetedSettings

N_SAMPLES = 10  # number of samples of the winner to print


def run(given: Given, limit: TimeLimit | None) -> None:
    """Run or resume a search; `limit` is set by --minutes."""

    def plan(
        docs: Documents, facts: dict[str, Any], n_workers: int
    ) -> tuple[BudgetedSettings, Split]:
        parts = hold_out(docs, limits_of(given), tell=note)
        if not parts.validation:
            problem = "has too few documents to hold some out; use more documents"
            raise DataError(f"{path_from_text(facts['input'])} {problem}")
        text = "stream" if isinstance(docs, str) else "lines"
        single = choose_settings(
            Fitting(parts, {**limits_of(given), "text": text, "single": True}), limit
        )
        n_workers = min(SMALLEST, n_workers) if limit else 1
        return plan_search(parts, single, n_workers, ancestor, note, facts), parts

    ancestor = winner.ancestor_of(given, "omit --warm-start", is_budgeted=True)
    model_dir = winner.model_directory(given)
    is_saved = partial(winner.is_saved, directory=model_dir)
    opened = open_study(given, BudgetedSettings, plan, limit=limit, is_saved=is_saved)
    with opened as (study, parts, pool):
        budget, before = None, (len(study.records), study.settings)
        if "resume" in given and limits_of(given):
            seconds = max(0.0, limit.seconds_left()) if limit else 0.0
            n_workers = min(SMALLEST, pool.n_workers()) if limit else 1
            budget = longer_budget(study, given.get("budget"), seconds, n_workers, note)
        settings = study.settings
        print_or_discard(
            f"Search: {in_short(budget or settings.budget)} operations, "
            f"{in_short(settings.operations, 2)} for a complete training run, seed "
            f"{settings.seed}, {count(pool.n_workers(), 'worker')}; run: {study.directory}"
        )
        with StudyProgress() as progress:
            search = BudgetedSearch(
                parts, pool, study, on_event=partial(_follow, progress), limit=limit, budget=budget
            )
            student, has_ended = None, False
            try:
                search.run()
                if not search.best:
                    raise NoWinnerError(study.why_no_winner())
                student = _train_student(search, progress) if settings.distill else None
                has_ended = True
            finally:  # also after Ctrl-C: save the best model so far
                progress.stop()
                is_new = before != (len(study.records), study.settings)
                if search.best and (is_new or not winner.is_saved(study.directory, model_dir)):
                    _save_winner(search, student, model_dir, given, has_ended=has_ended)


def _follow(progress: StudyProgress, search: BudgetedSearch) -> None:
    """Show the share of the operations, the best loss and the time left."""
    if search.last and search.last.reason:
        progress.remark(f"organism {search.last.id}", search.last)
    mark = search.study.settings.mark()
    best = f"best {search.lowest:.4f}{mark}" if search.lowest < math.inf else "no loss yet"
    generation = search.strategy.generation
    figures = f"{best} | generation {generation}: {search.n_done} of {search.n_asked}"
    spent = search.spent + search.running
    known = search.spent - search.trained
    progress.update(spent, max(0.0, search.budget - spent), figures, known)


def _train_student(search: BudgetedSearch, progress: StudyProgress) -> TrainResult | None:
    def follow(event: TrainEvent) -> None:
        line = f"student: step {event.step:,} of {event.steps:,}"
        progress.show(round(100 * event.step / event.steps), "", line, line)

    progress.stop()
    student = search.student([OnEvent(follow)])
    progress.stop()
    if student is None:
        note("there is no student, because there are fewer than two teachers")
    return student


def _save_winner(
    search: BudgetedSearch,
    student: TrainResult | None,
    model_dir: Path | None,
    given: Given,
    *,
    has_ended: bool,
) -> None:
    """Print the winner, write its genome and, if model_dir is given, its model.

    The test loss is measured at the end of the search, and only for the model that is kept.
    """
    settings, (best, trained) = search.study.settings, search.winner()
    mark = settings.mark()
    record = GenomeRecord(
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
    write_genome(search.study.directory / GENOME, record)
    winner.write_if_better(record, force="force" in given)
    print_or_discard(f"Winner: {best.id} ({best.origin}), {best.genome.describe()}")
    print_or_discard(
        f"{count_params(trained.model):,} weights, {trained.state.step:,} of "
        f"{trained.config.steps:,} steps: held-out loss {best.loss:.4f} nats per character{mark}"
    )
    if student and student.val_loss and trained.val_loss:
        loss = student.val_loss * search.objective.tokens(best.genome.vocab_size).per_character
        print_or_discard(f"Student: held-out loss {loss:.4f} nats per character{mark}")
        if student.val_loss < trained.val_loss:
            trained = student
        else:
            note("the winner is better than its student and is kept")
    model = InferenceGpt(trained)
    if has_ended:
        tested = model.evaluate(search.parts.test, text=settings.text)
        print_or_discard(
            f"Test loss: {tested.bits_per_character * math.log(2):.4f} nats per character"
            f"{settings.mark('test')}"
        )
        trained = replace(trained, test_loss=tested.loss)
    for sample in model.generate(N_SAMPLES, temperature=1.0, seed=settings.seed):
        print_or_discard(f"> {terminal_safe(sample)}")
    if model_dir:
        winner.save_model(trained, record, model_dir)
