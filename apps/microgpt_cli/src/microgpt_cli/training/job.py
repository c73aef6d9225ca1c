"""Create the job of `microgpt train`: a new or resumed training run."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from microgpt.config import ModelConfig, TrainConfig, default_lr
from microgpt.data.sizes import count_characters
from microgpt.data.split import Split
from microgpt.data.tokenizer import Document, Tokenizer, TokenizerKind
from microgpt.errors import ConfigError, DataError
from microgpt.model_variants import ARCHITECTURE
from microgpt.state import TrainingPlan, TrainState
from microgpt.storage.model_directory import SavedModel
from microgpt.training.choice import MAX_CONTEXT, held_out_fraction
from microgpt.training.deadline import Deadline
from microgpt.training.engines import DEFAULT_DTYPE
from microgpt.training.finetune import check_shape, extended_tokenizer, new_tokens
from microgpt.training.presets import PRESETS, PresetName
from microgpt_cli.input_files import default_input
from microgpt_cli.model_loading import load_model
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_CHAT
from microgpt_cli.training.documents import load_documents, split_documents
from microgpt_cli.training.fitting import Fitting, explain, new_tokenizer, note_subwords
from microgpt_cli.training.limits import MAIN_SHAPE
from microgpt_cli.training.options import N_SAMPLES
from microgpt_cli.training.time_limit import TimeLimit

SHAPE = ("n_embd", "n_head", "n_layer", "block_size", "n_ff_exp", *ARCHITECTURE)
CHARACTERS_PER_SUBWORD = 4  # upper estimate for English; sets the gap between splits


@dataclass(frozen=True)
class TrainingJob:
    """A training run to start, resume or repeat."""

    plan: TrainingPlan
    parts: Split
    parent: SavedModel | None = None  # model to fine-tune
    resume: TrainState | None = None
    deadline: Deadline | None = None
    repeated: SavedModel | None = None  # the model that the run should give again, if it is known
    reasons: Sequence[str] = ()  # what was chosen and why, for the user

    def later(self, seconds: float) -> "TrainingJob":
        """Return the job with its deadline, if any, moved by some seconds."""
        return replace(self, deadline=self.deadline and self.deadline.later(seconds))


def recipe_options(preset: PresetName | None, genome: Path | None) -> dict[str, object]:
    """Return the options of `train` that a preset or a genome.json sets."""
    if genome:
        from microgpt_evolution.genome import LONG_DOCS
        from microgpt_evolution.genome_file import read_genome

        genes = read_genome(genome).genome
        model = genes.model()
        options = {"steps": genes.steps, "lr": genes.lr, "long_docs": LONG_DOCS}
    elif preset:
        found = PRESETS[preset]
        model = found.model
        held_out = {"val_fraction": found.val_fraction, "test_fraction": found.test_fraction}
        options = vars(found.config) | held_out
        del options["text"], options["long_docs"]  # these depend on the file and the options
        if found.data == "grammar":
            options["chat"] = True
    else:
        return {}
    return {name: getattr(model, name) for name in SHAPE} | options


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
    path = settings["input"] or _input_of(preset, chat=chat)
    text = overrides.get("text") or (parent.text if parent else None)
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
        found = _choose(docs, config, settings, overrides, limit)
    else:
        found = _as_given(docs, config, settings, overrides)
    parts, config = found.parts, found.config
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
        genome_sha256=hashlib.sha256(genome.read_bytes()).hexdigest() if genome else None,
        minutes=limit.minutes if limit else None,
        budget=found.budget,
    )
    deadline = limit.deadline() if limit else None
    return TrainingJob(plan, parts, parent, deadline=deadline, reasons=found.reasons)


def has_budget(settings: Mapping[str, Any]) -> bool:
    """Return whether the user limits the time or the operations."""
    return settings["minutes"] is not None or settings["budget"] is not None


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
    parts = _split(docs, settings, _gap(size, parent.tokenizer.kind))
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
) -> _Found:
    """Use the settings of the user, a preset or a genome, and Karpathy's for the rest."""
    kind, preset = overrides.get("tokenizer"), settings["preset"]
    model = ModelConfig(**{name: settings[name] for name in SHAPE})
    parts = _split(docs, settings, _gap(model.block_size, kind))
    wanted = settings["vocab_size"] if kind == "bpe" else None
    tokenizer = new_tokenizer(parts, wanted, folds=preset is not None and PRESETS[preset].fold)
    if wanted:
        note_subwords(parts, tokenizer, wanted)
    return _Found(parts, tokenizer, model, config, wanted)


def _choose(
    docs: Sequence[Document] | str,
    config: TrainConfig,
    settings: Mapping[str, Any],
    overrides: Mapping[str, Any],
    limit: TimeLimit | None,
) -> _Found:
    """Choose the settings that suit the documents; Karpathy's names get his settings."""
    parts = default_split(docs, settings, overrides)
    fitted = Fitting(parts, config.text, settings, overrides).fit(limit)
    if fitted.vocab_size and "tokenizer" in overrides:
        note_subwords(parts, fitted.tokenizer, fitted.vocab_size)
    choice, budget = fitted.choice, fitted.budget if has_budget(settings) else None
    return _Found(
        parts,
        fitted.tokenizer,
        choice.model,
        choice.config,
        fitted.vocab_size,
        budget,
        explain(fitted),
    )


def default_split(
    docs: Sequence[Document] | str, settings: Mapping[str, Any], overrides: Mapping[str, Any]
) -> Split:
    """Split documents before the settings are chosen.

    With --minutes or --budget, some documents are held out by default if there are enough.
    """
    size = overrides.get("block_size")
    gap = _gap(size, overrides.get("tokenizer")) if size else MAX_CONTEXT  # chosen after the split
    default = {}
    if has_budget(settings):
        texts = [docs] if isinstance(docs, str) else docs
        fraction = held_out_fraction(sum(map(count_characters, texts)))
        fractions = {"val_fraction": fraction, "test_fraction": fraction}
        default = {name: fractions[name] for name in fractions if name not in overrides}
    try:
        return _split(docs, {**settings, **default}, gap)
    except DataError as error:
        if not default:
            raise
        note(f"nothing is held out by default: {error}")
        return _split(docs, settings, gap)


def _gap(block_size: int, kind: TokenizerKind | None) -> int:
    """Return the number of unused characters around a held-out stretch of running text."""
    return block_size * (CHARACTERS_PER_SUBWORD if kind == "bpe" else 1)


def _split(docs: Sequence[Document] | str, settings: Mapping[str, Any], gap: int) -> Split:
    preset, held_out = settings["preset"], (settings["val_fraction"], settings["test_fraction"])
    if settings["holdout"] and not (isinstance(docs, str) and any(held_out)):
        raise ConfigError(
            "--holdout requires running text and --val-fraction or --test-fraction; omit --holdout"
        )
    holdout = settings["holdout"] or (PRESETS[preset].holdout if preset else "spread")
    return split_documents(docs, *held_out, holdout, gap)


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
