"""Run or resume the search of `microgpt evolve --minutes`, and save the winner."""

import hashlib
import os
from contextlib import ExitStack
from dataclasses import replace
from math import log
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from microgpt.amounts import count, in_short
from microgpt.data.documents import load_documents
from microgpt.data.split import Split
from microgpt.errors import ConfigError, DataError
from microgpt.files.path_text import path_from_text, path_to_text
from microgpt.inference import InferenceGpt
from microgpt.model_config import count_params
from microgpt.state import TrainResult
from microgpt.storage.model_directory import save
from microgpt.training.choice import Choice
from microgpt.training.fitting import Fitted, Fitting
from microgpt.training.holding_out import split_documents
from microgpt.training.time_limit import TimeLimit
from microgpt_cli.input_files import check_data, check_regular, default_input
from microgpt_cli.search.evolve_run import (
    as_setting,
    check_outputs,
    model_directory,
    resume_command,
    write_if_better,
)
from microgpt_cli.search.log import resumable
from microgpt_cli.search.options import EvolveOptions
from microgpt_cli.search.run_report import write_final_report
from microgpt_cli.search.workers import make_pool
from microgpt_cli.terminal.console import note, print_or_discard, terminal_safe
from microgpt_cli.terminal.options import DEFAULT_CHAT, RUNS
from microgpt_cli.terminal.progress import ProgressBar, load_kernels, time_left
from microgpt_evolution.budgeted.default_space import space_for
from microgpt_evolution.budgeted.genome import GENES, BudgetedGenome
from microgpt_evolution.budgeted.objective import (
    EVALUATIONS,
    STUDENT_LENGTH,
    BudgetedObjective,
)
from microgpt_evolution.budgeted.records import BudgetedRecords
from microgpt_evolution.budgeted.run import BudgetedEvent, BudgetedSearch
from microgpt_evolution.budgeted.search import LARGEST, SMALLEST
from microgpt_evolution.budgeted.settings import BudgetedSettings
from microgpt_evolution.errors import GenomeError, NoWinnerError
from microgpt_evolution.genome_file import (
    GENOME,
    BudgetedRecord,
    encode_genome,
    read_genome,
    write_genome,
)
from microgpt_evolution.objectives.loss_objective import MAX_BYTES
from microgpt_evolution.space import Space
from microgpt_evolution.space_file import read_space
from microgpt_evolution.workers.pools import Pool

MAX_SHARE = 1 / 8  # share of the budget that a complete training run may use
MAX_RUNS = 200  # maximum number of complete training runs; more would fit the validation set
MAX_STUDENT_SHARE = 1 / 3  # of the time, if --distill is not given
N_TEACHERS = 6  # number of organisms that teach a student at the end, if the text is small
SAMPLES_PER_TEXT = 6  # tokens of the documents that teachers make up, per token of the text
MAX_TARGETS = 2**28  # maximum size of the predictions of the teachers, in bytes
N_SAMPLES = 10  # number of samples of the winner to print
PER_MILLE = 1000  # resolution of the progress bar


def run(options: EvolveOptions, limit: TimeLimit | None) -> None:
    """Run or resume a search; `limit` is that of --minutes."""
    with ExitStack() as stack:
        resumed = (
            stack.enter_context(BudgetedRecords.open(options.resume)) if options.resume else None
        )
        model_dir = model_directory(options, resumed)
        check_outputs(model_dir, force=options.force, run=resumed)
        pool = make_pool(
            options.workers,
            options.scheduler,
            n_trials=LARGEST,
            trial_bytes=options.limits.max_bytes or MAX_BYTES,
        )
        compilation_s = load_kernels("compiled", uses=["training", "evaluation", "generation"])
        if limit:
            limit.extend(compilation_s)
        stack.enter_context(pool)
        pool.executor()  # fail before creating a run if the cluster is unreachable
        if resumed:
            records, parts = resumed, _parts_again(resumed.settings, options.input)
        else:
            settings, parts = _begin(options, limit, pool)
            records = stack.enter_context(BudgetedRecords.begin(RUNS, "evolve", settings))
        settings = records.settings
        n = pool.n_workers()
        print_or_discard(
            f"Search: {in_short(settings.budget)} operations, "
            f"{in_short(settings.operations, 2)} for a complete training run, seed "
            f"{settings.seed}, {count(n, 'worker')}; run: {records.directory}"
        )
        progress = stack.enter_context(SearchProgress(settings.budget))
        search = BudgetedSearch(parts, pool, records, on_event=progress.update)
        student, has_ended = None, False
        try:
            with resumable(records, resume_command(options, records)):
                search.run()
                progress.stop()
                if settings.distill and search.best:
                    student = search.student()
                    if student is None:
                        note("there is no student, because there are fewer than two teachers")
                elif not search.best:
                    raise NoWinnerError("no organism finished training; use other documents")
                has_ended = True
        finally:  # Ctrl-C leaves the best so far
            progress.stop()
            if search.best:
                _save_winner(
                    search, records.directory, student, model_dir,
                    force=options.force, has_ended=has_ended,
                )  # fmt: skip
                write_final_report(records.directory)


class SearchProgress(ProgressBar):
    """Progress of a budgeted search: share of the operations, best loss and time left."""

    def __init__(self, budget: float) -> None:
        super().__init__("search", PER_MILLE)
        self._budget, self._started, self._first = budget, perf_counter(), 0.0

    def update(self, event: BudgetedEvent) -> None:
        """Show the progress after an event."""
        if event.is_known:  # of the resumed run
            self._started, self._first = perf_counter(), event.spent
        speed = (event.spent - self._first) / (perf_counter() - self._started)
        left = time_left(self._budget - event.spent, speed)
        best = f"best {event.organisms[0].loss:.4f}" if event.organisms else "no loss yet"
        figures = f"{best} | generation {event.generation}: {event.n_done} of {len(event.runs)}"
        done = round(PER_MILLE * event.spent / self._budget)
        self.show(done, left, f"{done / 10:.0f} % | {figures} | {left}", figures)


def _begin(
    options: EvolveOptions, limit: TimeLimit | None, pool: Pool
) -> tuple[BudgetedSettings, Split]:
    """Return the settings of a new search, and the documents."""
    chat = options.chat
    file = read_space(options.space, GENES) if options.space else None
    path = options.input or default_input(*([DEFAULT_CHAT] if chat else []))
    docs = load_documents(path, text=options.text, column=options.column, chat=chat, tell=note)
    fitting = Fitting.of(docs, options.limits, load_kernels=load_kernels, tell=note)
    parts = fitting.parts
    if not parts.validation:
        raise DataError(f"{path} has too few documents to hold some out; use more documents")
    plan = _plan(fitting, limit, pool, options, file.space if file else None)
    rule, choice = plan.rule, plan.choice
    if not (choice.is_limited or options.max_weights or options.max_memory):
        note(
            "the text is large enough for a single training run of this length, which may give a "
            "better model: microgpt train --minutes or --budget"
        )
    first = (rule, *((_ancestor(options.warm_start),) if options.warm_start else ()))
    space, target = space_for(rule, choice.config.text, plan.n_characters), None
    if file:
        space, target = file.space, file.target
        first = (
            *map(space.closest, first),
            *(replace(rule, **genes) for genes in file.first),
        )
    settings = BudgetedSettings(
        budget=plan.budget,
        operations=choice.operations,
        input=path_to_text(os.path.abspath(path)),
        column=options.column,
        chat=chat,
        text=choice.config.text,
        data_sha256=parts.facts.sha256,
        held_out=parts.val_fraction,
        gap=parts.gap,
        seed=options.seed,
        minutes=options.minutes,
        max_weights=options.max_weights,
        max_bytes=options.limits.max_bytes or MAX_BYTES,
        first=first,
        target=target,
        distill=plan.n_teachers,
        teacher_samples=plan.n_samples,
        values={gene: tuple(values) for gene, values in space.values.items()},
        rates=dict(space.rates),
        train_winner=as_setting(options.train_winner),
    )
    return settings, parts


class _SearchPlan(NamedTuple):
    """What the time and the documents allow."""

    budget: float
    choice: Choice  # of a complete training run
    rule: BudgetedGenome  # its genome, with the closest values of the user's space
    n_characters: int  # of the training set
    n_teachers: int
    n_samples: int  # number of documents that the teachers make up


def _plan(
    fitting: Fitting,
    limit: TimeLimit | None,
    pool: Pool,
    options: EvolveOptions,
    space: Space | None,
) -> _SearchPlan:
    """Return the budget of a search, and what a training run and the student take of it."""
    of_worker = fitting.fit(limit).budget
    assert of_worker
    n_workers = min(SMALLEST, pool.n_workers()) if limit else 1
    budget = of_worker * n_workers  # with --minutes, all workers search until the deadline
    ruled = fitting.for_budget(MAX_SHARE * budget)
    choice, sizes = ruled.choice, ruled.sizes
    length = sizes.chunk_length(choice.model.block_size)
    rule = BudgetedGenome.of(choice, length, ruled.vocab_size)
    if space:
        rule = space.closest(rule)
    objective = BudgetedObjective(fitting.parts, choice.config.text, choice.operations)
    complete = objective.cost(rule, EVALUATIONS)
    distill = options.distill
    if distill is None:  # a large text is better used for longer training runs
        is_short = STUDENT_LENGTH * complete <= MAX_STUDENT_SHARE * of_worker
        distill = N_TEACHERS if choice.is_limited and is_short else 0
    n_samples = _n_teacher_samples(ruled) if distill and not options.chat else 0
    student = objective.student_cost(rule, distill, n_samples)
    budget -= (n_workers - 1) * student  # only one worker can train the student
    steps = objective.settings(rule)[1].steps
    if complete + student > budget or steps < EVALUATIONS:
        remedy = "increase --minutes or --budget, or use microgpt train"
        raise ConfigError(
            f"{in_short(of_worker)} operations are too few for a search"
            f"{' with a student' if student else ''}; {remedy}"
        )
    if budget > MAX_RUNS * complete + student:
        budget = MAX_RUNS * complete + student
        note(f"the data are small: the search ends after {MAX_RUNS} complete training runs")
    budget = float(in_short(budget))  # can be typed
    return _SearchPlan(budget, choice, rule, sizes.n_characters, distill, n_samples)


def _n_teacher_samples(ruled: Fitted) -> int:
    """Return the number of documents that teachers make up for a student.

    Not more than it reads, and not more than have predictions of MAX_TARGETS bytes.
    """
    config, sizes = ruled.choice.config, ruled.sizes
    length = sizes.chunk_length(ruled.choice.model.block_size)
    n_tokens = SAMPLES_PER_TEXT * sizes.n_tokens
    n_tokens = min(n_tokens, MAX_TARGETS / (4 * ruled.tokenizer.vocab_size) - sizes.n_tokens)
    return max(0, min(config.steps * config.batch_size, int(n_tokens / length)))


def _ancestor(path: Path) -> BudgetedGenome:
    record = read_genome(path)
    if isinstance(record, BudgetedRecord):
        return record.genome
    raise GenomeError(f"{path} is from a search without a budget; omit --warm-start")


def _parts_again(settings: BudgetedSettings, path: Path | None) -> Split:
    """Return the documents of a run to resume."""
    if path is None:
        path = path_from_text(settings.input)
        check_regular(path, "pass the documents of this run with --data")
    docs = load_documents(
        path,
        text=settings.text,
        column=settings.column,
        chat=settings.chat,
        check=False,
        tell=note,
    )
    parts = split_documents(docs, settings.held_out, settings.held_out, "spread", settings.gap)
    check_data(settings.data_sha256, path, parts)
    return parts


def _save_winner(
    search: BudgetedSearch,
    run: Path,
    student: TrainResult | None,
    model_dir: Path | None,
    *,
    force: bool,
    has_ended: bool,
) -> None:
    """Print the winner, write its genome and, if model_dir is given, its model.

    The test loss is measured only of the model that is kept when the search has ended.
    """
    settings, (best, trained) = search.settings, search.winner()
    record = BudgetedRecord(
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
    write_genome(run / GENOME, record)
    write_if_better(record, print_or_discard, force=force)
    print_or_discard(f"Winner: {best.id} ({best.origin}), {best.genome.describe()}")
    print_or_discard(
        f"{count_params(trained.model):,} weights, {trained.state.step:,} of "
        f"{trained.config.steps:,} steps: held-out loss {best.loss:.4f} nats per character"
    )
    if student:
        n_tokens = search.objective.tokens(best.genome.vocab_size).per_character
        loss = (student.val_loss or 0.0) * n_tokens
        print_or_discard(f"Student: held-out loss {loss:.4f} nats per character")
        if (student.val_loss or 0.0) < (trained.val_loss or 0.0):
            trained = student
        else:
            note("the winner is better than its student and is kept")
    model = InferenceGpt(trained)
    if has_ended:
        tested = model.evaluate(search.parts.test, text=settings.text)
        print_or_discard(f"Test loss: {tested.bits_per_character * log(2):.4f} nats per character")
        trained = replace(trained, test_loss=tested.loss)
    if not trained.tokenizer.is_chat:
        for sample in model.generate(N_SAMPLES, temperature=1.0, seed=settings.seed):
            print_or_discard(f"> {terminal_safe(sample)}")
    if model_dir:
        genome_sha256 = hashlib.sha256(encode_genome(record)).hexdigest()
        save(replace(trained, plan=replace(trained.plan, genome_sha256=genome_sha256)), model_dir)
        note(f"the model of the winner is in {model_dir}")
