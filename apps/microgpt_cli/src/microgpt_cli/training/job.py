"""Create the job of `microgpt train`: a new or resumed training run."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from microgpt.config import ModelConfig, TrainConfig, default_lr
from microgpt.data.split import Split
from microgpt.data.tokenizer import Document, Tokenizer, TokenizerKind
from microgpt.errors import ConfigError
from microgpt.model_variants import ARCHITECTURE
from microgpt.state import TrainingPlan, TrainState
from microgpt.storage.model_directory import SavedModel
from microgpt.training.deadline import Deadline
from microgpt.training.engines import DEFAULT_DTYPE
from microgpt.training.finetune import check_shape, extended_tokenizer, new_tokens
from microgpt.training.presets import PRESETS, PresetName
from microgpt_cli.input_files import default_input
from microgpt_cli.model_loading import load_model
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_CHAT, flag_of
from microgpt_cli.training.documents import default_split, gap_of, load_documents, split_by_options
from microgpt_cli.training.fitting import (
    Fitted,
    Fitting,
    advice,
    explain,
    new_tokenizer,
    note_subwords,
)
from microgpt_cli.training.limits import MAIN_SHAPE, has_budget
from microgpt_cli.training.options import N_SAMPLES
from microgpt_cli.training.teachers import SavedTeachers
from microgpt_cli.training.time_limit import TimeLimit

SHAPE = ("n_embd", "n_head", "n_layer", "block_size", "n_ff_exp", *ARCHITECTURE)


@dataclass(frozen=True)
class TrainingJob:
    """A training run to start, resume or repeat."""

    plan: TrainingPlan
    parts: Split
    parent: SavedModel | None = None  # model to fine-tune
    teachers: SavedTeachers | None = None  # models to learn from
    resume: TrainState | None = None
    deadline: Deadline | None = None
    repeated: SavedModel | None = None  # the model that the run should give again, if it is known
    reasons: Sequence[str] = ()  # what was chosen and why, for the user

    def later(self, seconds: float) -> "TrainingJob":
        """Return the job with its deadline, if any, moved by some seconds."""
        return replace(self, deadline=self.deadline and self.deadline.later(seconds))


def recipe_options(
    preset: PresetName | None, genome: Path | None, given: Mapping[str, Any]
) -> dict[str, object]:
    """Return the options of `train` that a preset or a genome.json sets."""
    if genome:
        return _genome_options(genome, given)
    if not preset:
        return {}
    found = PRESETS[preset]
    held_out = {"val_fraction": found.val_fraction, "test_fraction": found.test_fraction}
    options = vars(found.config) | held_out
    del options["text"], options["long_docs"]  # these depend on the file and the options
    if found.data == "grammar":
        options["chat"] = True
    return {name: getattr(found.model, name) for name in SHAPE} | options


def _genome_options(path: Path, given: Mapping[str, Any]) -> dict[str, object]:
    """Return the options that a genome.json sets; n_tokens is the number of tokens per step.

    With `evaluations`, the budget does not include them, as in the search.
    """
    from microgpt_evolution.budgeted.objective import EVALUATIONS
    from microgpt_evolution.genome import LONG_DOCS
    from microgpt_evolution.genome_file import BudgetedRecord, read_genome

    record = read_genome(path)
    limits = given.keys() & {"minutes", "budget", "steps"}
    if isinstance(record, BudgetedRecord):
        options: dict[str, object] = asdict(record.genome)
        if record.genome.vocab_size is None:
            del options["vocab_size"]
        options["tokenizer"] = "bpe" if record.genome.vocab_size else "char"
        searched = {"budget": record.operations, "evaluations": EVALUATIONS}
        return options | ({} if limits else searched)
    if limits := limits - {"steps"}:
        raise ConfigError(
            f"{flag_of(limits.pop())} cannot be used with --genome {path}, which sets the number "
            "of steps; omit one of them"
        )
    genes = record.genome
    options = {"steps": genes.steps, "lr": genes.lr, "long_docs": LONG_DOCS}
    return {name: getattr(genes.model(), name) for name in SHAPE} | options


def new_job(
    settings: Mapping[str, Any], overrides: Mapping[str, Any], limit: TimeLimit | None = None
) -> TrainingJob:
    """Return a new job; `overrides` contains the settings from the user, a preset or a genome."""
    count_samples(settings["num_samples"], chat=settings["chat"])
    names = {field.name for field in fields(TrainConfig)} & settings.keys()
    config = TrainConfig(**{name: settings[name] for name in names})
    preset, from_, genome = settings["preset"], settings["from_"], settings["genome"]
    chat, engine = settings["chat"], settings["engine"]
    parent = load_model(from_) if from_ else None
    directories, n_samples = settings["teacher"], settings["teacher_samples"]
    teachers = SavedTeachers(directories, n_samples) if directories else None
    path = settings["input"] or _input_of(preset, chat=chat)
    source = parent or teachers
    text = overrides.get("text") or (source.text if source else None)
    if "long_docs" in overrides:
        text = text or "lines"
    if path:
        docs = load_documents(path, text, settings["column"], chat=chat)
        config = replace(config, text="stream" if isinstance(docs, str) else "lines")
    else:
        # The conversations are generated in the order in which to read them.
        docs, config = drawn(preset, config.seed), replace(config, shuffle=False)
    if parent:
        found = _inherit(parent, docs, config, settings, overrides)
    elif has_budget(settings) or not overrides.keys() >= {*MAIN_SHAPE}:
        found = _choose(docs, config, settings, overrides, limit, teachers)
    else:
        found = _as_given(docs, config, settings, overrides, teachers)
    parts, config = found.parts, found.config
    if teachers:
        teachers.check(parts.docs, found.tokenizer, found.model.block_size)
    check_patience(config, parts.val_fraction)
    if config.lr is None:
        config = replace(config, lr=default_lr(found.model.n_embd))
    default = parent.dtype if parent and engine == "compiled" else DEFAULT_DTYPE[engine]
    plan = TrainingPlan(
        model=replace(found.model, vocab_size=found.tokenizer.vocab_size),
        config=config,
        tokenizer=found.tokenizer,
        engine=engine,
        dtype=settings["dtype"] or default,
        vocab_size_wanted=found.vocab_size_wanted,
        data=parts.facts,
        input=Path(os.path.abspath(path)) if path else None,
        column=settings["column"],
        weights_format=settings["format"],
        preset=preset,
        parent_sha256=parent.meta.weights_sha256 if parent else None,
        teachers=teachers.records if teachers else (),
        teacher_samples=n_samples,
        genome_sha256=hashlib.sha256(genome.read_bytes()).hexdigest() if genome else None,
        minutes=limit.minutes if limit else None,
        budget=found.budget,
    )
    deadline = limit.deadline() if limit else None
    return TrainingJob(plan, parts, parent, teachers, deadline=deadline, reasons=found.reasons)


class _Found(NamedTuple):
    """The parts of a job that depend on the documents."""

    parts: Split
    tokenizer: Tokenizer
    model: ModelConfig
    config: TrainConfig
    vocab_size_wanted: int | None = None
    budget: float | None = None
    reasons: Sequence[str] = ()


def _inherit(
    parent: SavedModel,
    docs: Sequence[Document] | str,
    config: TrainConfig,
    settings: Mapping[str, Any],
    overrides: Mapping[str, Any],
) -> _Found:
    """Use the model of `--from`."""
    size = parent.model.block_size
    parts = split_by_options(docs, settings, gap_of(size, parent.tokenizer.kind))
    tokenizer = _inherited_tokenizer(
        parent, parts, overrides.get("tokenizer"), overrides.get("vocab_size")
    )
    shape = {name: overrides[name] for name in SHAPE if name in overrides}
    model = replace(parent.model, **shape, vocab_size=tokenizer.vocab_size)
    check_shape(parent, model)
    return _Found(parts, tokenizer, model, config)


def _as_given(
    docs: Sequence[Document] | str,
    config: TrainConfig,
    settings: Mapping[str, Any],
    overrides: Mapping[str, Any],
    teachers: SavedTeachers | None,
) -> _Found:
    """Use the settings of the user, a preset or a genome, and Karpathy's for the rest."""
    kind, preset = overrides.get("tokenizer"), settings["preset"]
    kind = teachers.tokenizer.kind if teachers else kind
    model = ModelConfig(**{name: settings[name] for name in SHAPE})
    parts = split_by_options(docs, settings, gap_of(model.block_size, kind))
    wanted = settings["vocab_size"] if kind == "bpe" and not teachers else None
    folds = preset is not None and PRESETS[preset].fold
    tokenizer = teachers.tokenizer if teachers else new_tokenizer(parts, wanted, folds=folds)
    if wanted:
        note_subwords(parts, tokenizer, wanted)
    return _Found(parts, tokenizer, model, config, wanted)


def _choose(
    docs: Sequence[Document] | str,
    config: TrainConfig,
    settings: Mapping[str, Any],
    overrides: Mapping[str, Any],
    limit: TimeLimit | None,
    teachers: SavedTeachers | None,
) -> _Found:
    """Choose the settings that suit the documents; Karpathy's names get his settings."""
    if teachers:
        inherited = {"block_size": teachers.block_size, "tokenizer": teachers.tokenizer.kind}
        overrides = inherited | {**overrides}
    parts = default_split(docs, settings, overrides)
    fitted = Fitting(parts, config.text, settings, overrides, teachers).fit(limit)
    if fitted.vocab_size and "tokenizer" in overrides:
        note_subwords(parts, fitted.tokenizer, fitted.vocab_size)
    if "evaluations" in overrides:
        fitted = _as_in_search(fitted, overrides)
    choice, budget = fitted.choice, fitted.budget if has_budget(settings) else None
    return _Found(
        parts,
        fitted.tokenizer,
        choice.model,
        choice.config,
        fitted.vocab_size,
        budget,
        explain(fitted) + advice(parts, fitted, overrides),
    )


def _as_in_search(fitted: Fitted, overrides: Mapping[str, Any]) -> Fitted:
    """Return the settings with the steps of a search, whose operations exclude evaluations."""
    from microgpt_evolution.budgeted.genome import with_steps

    model, length = fitted.choice.model, fitted.sizes.chunk_length(fitted.choice.model.block_size)
    config = with_steps(fitted.choice.config, model, overrides["budget"], length)
    if "warmup_steps" in overrides:
        config = replace(config, warmup_steps=overrides["warmup_steps"])
    return fitted._replace(choice=fitted.choice._replace(config=config))


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


def _inherited_tokenizer(
    parent: SavedModel, parts: Split, kind: TokenizerKind | None, vocab_size: int | None
) -> Tokenizer:
    """Return the tokenizer of the parent model, extended with new characters in the documents."""
    tokenizer = extended_tokenizer(parent, parts.docs)
    for flag, wanted, found in (
        ("--tokenizer", kind, tokenizer.kind),
        ("--vocab-size", vocab_size, parent.tokenizer.vocab_size),
    ):
        if wanted not in (None, found):
            raise ConfigError(f"{flag} is {wanted}, but the --from model has {found}; omit {flag}")
    if added := new_tokens(parent, tokenizer):
        note(f"added tokens with random weights: {', '.join(map(repr, added))}")
    return tokenizer


def check_patience(config: TrainConfig, val_fraction: float) -> None:
    """Raise ConfigError if there is no held-out loss for early stopping."""
    if config.patience and not val_fraction:
        raise ConfigError(
            "--patience requires --val-fraction; add --val-fraction or omit --patience"
        )
