"""Run or resume the search of `microgpt evolve --minutes`, and save the winner."""

import math
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

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
)
from microgpt_cli.terminal.console import note, print_or_discard, terminal_safe
from microgpt_cli.terminal.progress import load_kernels
from microgpt_evolution.budgeted.budgeted_records import BudgetedRecords, BudgetedSettings
from microgpt_evolution.budgeted.budgeted_search import BudgetedEvent, BudgetedSearch
from microgpt_evolution.budgeted.planning import plan_search
from microgpt_evolution.budgeted.surrogate_search import LARGEST
from microgpt_evolution.commands import study, winner
from microgpt_evolution.commands.runs import RUNS, write_final_report
from microgpt_evolution.errors import NoWinnerError
from microgpt_evolution.genome_file import GENOME, GenomeRecord, write_genome

N_SAMPLES = 10  # number of samples of the winner to print


def run(given: Given, limit: TimeLimit | None) -> None:
    """Run or resume a search; `limit` is set by --minutes."""
    with ExitStack() as stack:
        resumed = None
        if "resume" in given:
            resumed = stack.enter_context(BudgetedRecords.open(given["resume"]))
        model_dir = winner.model_directory(given, resumed)
        pool = stack.enter_context(study.open_pool(given, n_trials=LARGEST))
        compilation_s = load_kernels(None, uses=["training", "evaluation", "generation"])
        if limit:
            limit.extend(compilation_s)
        settings, parts = _prepare(given, limit, resumed, pool.n_workers())
        records = resumed or stack.enter_context(BudgetedRecords.begin(RUNS, "evolve", settings))
        print_or_discard(
            f"Search: {in_short(settings.budget)} operations, "
            f"{in_short(settings.operations, 2)} for a complete training run, seed "
            f"{settings.seed}, {count(pool.n_workers(), 'worker')}; run: {records.directory}"
        )
        study.note_read(settings)
        progress = stack.enter_context(study.StudyProgress("search, %", 100))
        search = BudgetedSearch(
            parts, pool, records, on_event=partial(_follow, progress), limit=limit
        )
        student, has_ended = None, False
        try:
            with study.resumable(records, winner.resume_command(given, records)):
                search.run()
                if not search.best:
                    raise NoWinnerError("no organism finished training; use other documents")
                student = _train_student(search, progress) if settings.distill else None
                has_ended = True
        finally:  # also after Ctrl-C: save the best model so far
            progress.stop()
            if search.best:
                _save_winner(search, records, student, model_dir, given, has_ended=has_ended)
                write_final_report(records.directory)


def _follow(progress: study.StudyProgress, event: BudgetedEvent) -> None:
    """Show the share of the operations, the best loss and the time left."""
    if event.budget < event.planned:
        less, more = in_short(event.budget), in_short(event.planned)
        progress.tell(f"the search now ends after {less} operations, not {more}, to finish in time")
    if event.is_known:  # the run before it was resumed has recorded it
        progress.begin(event.spent)
    best = f"best {event.organisms[0].loss:.4f}" if event.organisms else "no loss yet"
    figures = f"{best} | generation {event.generation}: {event.n_done} of {len(event.runs)}"
    done = min(100, round(100 * event.spent / event.budget))
    progress.update(done, event.spent, max(0.0, event.budget - event.spent), figures)


def _train_student(search: BudgetedSearch, progress: study.StudyProgress) -> TrainResult | None:
    def follow(event: TrainEvent) -> None:
        line = f"student: step {event.step:,} of {event.steps:,}"
        progress.show(round(100 * event.step / event.steps), "", line, line)

    progress.stop()
    student = search.student([OnEvent(follow)])
    progress.stop()
    if student is None:
        note("there is no student, because there are fewer than two teachers")
    return student


def _prepare(
    given: Given, limit: TimeLimit | None, resumed: BudgetedRecords | None, n_workers: int
) -> tuple[BudgetedSettings, Split]:
    if resumed:
        return resumed.settings, study.documents_again(resumed.settings, given.get("input"))
    ancestor, space = study.start_of(given, "omit --warm-start", is_budgeted=True)
    path, docs = study.new_documents(given)
    parts = hold_out(docs, study.limits_of(given), tell=note)
    if not parts.validation:
        raise DataError(f"{path} has too few documents to hold some out; use more documents")
    text = "stream" if isinstance(docs, str) else "lines"
    of_run = {**study.limits_of(given), "text": text, "single": True}
    single = choose_settings(Fitting(parts, of_run), limit)
    settings = plan_search(
        parts,
        single,
        limit,
        n_workers=n_workers,
        space=space,
        warm_start=ancestor,
        tell=note,
        **study.recorded(given, path),
    )
    return settings, parts


def _save_winner(
    search: BudgetedSearch,
    records: BudgetedRecords,
    student: TrainResult | None,
    model_dir: Path | None,
    given: Given,
    *,
    has_ended: bool,
) -> None:
    """Print the winner, write its genome and, if model_dir is given, its model.

    The test loss is measured at the end of the search, and only for the model that is kept.
    """
    settings, (best, trained) = search.settings, search.winner()
    record = GenomeRecord(
        version=3,
        genome=best.genome,
        operations=settings.operations,
        val_loss=best.loss,
        generation=best.generation,
        text=settings.text,
        budget=settings.budget,
        gap=settings.gap if settings.text == "stream" else None,
        seed=settings.seed,
        data_sha256=settings.data_sha256,
    )
    write_genome(records.directory / GENOME, record)
    winner.write_if_better(record, print_or_discard, settings.mark(), force="force" in given)
    print_or_discard(f"Winner: {best.id} ({best.origin}), {best.genome.describe()}")
    print_or_discard(
        f"{count_params(trained.model):,} weights, {trained.state.step:,} of "
        f"{trained.config.steps:,} steps: held-out loss {best.loss:.4f} nats per character"
        f"{settings.mark()}"
    )
    if student:
        n_tokens = search.objective.tokens(best.genome.vocab_size).per_character
        loss = (student.val_loss or 0.0) * n_tokens
        print_or_discard(f"Student: held-out loss {loss:.4f} nats per character{settings.mark()}")
        if (student.val_loss or 0.0) < (trained.val_loss or 0.0):
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
    if not trained.tokenizer.is_chat:
        for sample in model.generate(N_SAMPLES, temperature=1.0, seed=settings.seed):
            print_or_discard(f"> {terminal_safe(sample)}")
    if model_dir:
        winner.save_model(trained, record, model_dir)
