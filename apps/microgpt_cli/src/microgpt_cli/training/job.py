"""Create the job of `microgpt train`: read the files that its options name."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from microgpt.data.documents import load_documents
from microgpt.data.tokenizer import Document
from microgpt.errors import ConfigError
from microgpt.training.options import N_SAMPLES, TrainOptions
from microgpt.training.planning import TrainingJob, plan_training
from microgpt.training.presets import PRESETS, PresetName
from microgpt.training.time_limit import TimeLimit
from microgpt_cli.input_files import default_input
from microgpt_cli.model_loading import load_model
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_CHAT
from microgpt_cli.terminal.progress import load_kernels
from microgpt_cli.training.teachers import load_teachers


def recipe_options(given: TrainOptions) -> TrainOptions:
    """Return the options that the preset or the genome.json sets, if there is one."""
    given.check_conflicts(given.given)  # before a file is read
    if given.resume or given.repeat:
        return TrainOptions()  # the run has its own
    if given.genome:
        return _genome_options(given.genome, given)
    return TrainOptions.of_preset(given.preset) if given.preset else TrainOptions()


def _genome_options(path: Path, given: TrainOptions) -> TrainOptions:
    """Return the options that a genome.json sets.

    With `evaluations`, the budget does not include them, as in the search.
    """
    from microgpt_evolution.budgeted.objective import EVALUATIONS
    from microgpt_evolution.genome import LONG_DOCS
    from microgpt_evolution.genome_file import BudgetedRecord, read_genome

    record = read_genome(path)
    if isinstance(record, BudgetedRecord):
        facts: dict[str, object] = {**asdict(record.genome), "gap": record.gap}
        facts["tokenizer"] = "bpe" if record.genome.vocab_size else "char"
        if not (given.has_budget or "steps" in given):
            facts |= {"budget": record.operations, "evaluations": EVALUATIONS}
    else:
        genome = record.genome
        facts = {**vars(genome.model()), "steps": genome.steps, "lr": genome.lr, "vocab_size": None}
        facts["long_docs"] = None if given.text == "stream" else LONG_DOCS
    return TrainOptions.of(facts, f"--genome {path}")


def new_job(options: TrainOptions, limit: TimeLimit | None = None) -> TrainingJob:
    """Return a new job with the options of the user, a preset or a genome."""
    count_samples(options.num_samples, chat=options.chat)
    parent = load_model(options.from_) if options.from_ else None
    teachers, records = load_teachers(options.teacher or (), options.teacher_samples)
    path = options.input or _input_of(options.preset, chat=options.chat)
    if path:
        source = parent or (load_model(options.teacher[0]) if options.teacher else None)
        text = options.text or (source.text if source else None)
        text = "lines" if text is None and "long_docs" in options else text
        docs = load_documents(path, text=text, column=options.column, chat=options.chat, tell=note)
    else:
        # The conversations are generated in the order in which to read them.
        docs, options = (
            drawn(options.preset, options.seed),
            TrainOptions(shuffle=False).over(options),
        )
    job = plan_training(
        docs,
        options,
        parent=parent,
        teachers=teachers,
        limit=limit,
        load_kernels=load_kernels,
        tell=note,
    )
    plan = replace(
        job.plan,
        input=Path(os.path.abspath(path)) if path else None,
        parent_sha256=parent.sha256 if parent else None,
        teachers=records,
        genome_sha256=_sha256(options.genome) if options.genome else None,
    )
    return replace(job, plan=plan)


def count_samples(num_samples: int | None, *, chat: bool) -> int:
    """Return the number of samples to print; raise ConfigError for a chat model."""
    if chat and num_samples:
        raise ConfigError(
            "--num-samples cannot be used with --chat; run `microgpt chat` afterwards"
        )
    return (0 if chat else N_SAMPLES) if num_samples is None else num_samples


def _input_of(preset: PresetName | None, *, chat: bool) -> Path | None:
    """Return the default input file, or None if the preset generates the documents."""
    data = PRESETS[preset].data if preset else "names"
    if data is None:
        raise ConfigError(f"--preset {preset} requires your own data; pass it with --data")
    return None if data == "grammar" else default_input(DEFAULT_CHAT if chat else f"{data}.txt")


def drawn(preset: PresetName | None, seed: int) -> Sequence[Document]:
    """Return the conversations that a preset generates."""
    assert preset  # only presets have no input file
    return PRESETS[preset].draw(seed)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
