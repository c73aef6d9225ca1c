"""Create the job of `microgpt train`: a new or resumed training run."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

from microgpt.config import ModelConfig, TrainConfig, default_lr
from microgpt.data.bpe import DEFAULT_VOCAB_SIZE, BpeTokenizer
from microgpt.data.folding import FoldingTokenizer, char_tokenizer
from microgpt.data.split import Split
from microgpt.data.tokenizer import Document, Tokenizer, TokenizerKind, texts_of
from microgpt.errors import CheckpointError, ConfigError
from microgpt.files.atomic_files import as_argument
from microgpt.model_variants import ARCHITECTURE
from microgpt.state import TrainingPlan, TrainState
from microgpt.storage.model_directory import SavedModel
from microgpt.storage.training_directory import TrainingDirectory, read_training
from microgpt.training.defaults import STREAM_CONTEXT, defaults_for
from microgpt.training.early_stopping import Ending, ending
from microgpt.training.engines import DEFAULT_DTYPE
from microgpt.training.finetune import check_shape, extended_tokenizer, new_tokens
from microgpt.training.presets import PRESETS, PresetName
from microgpt_cli.input_files import check_regular, default_input
from microgpt_cli.model_loading import load_model
from microgpt_cli.terminal.console import note
from microgpt_cli.terminal.options import DEFAULT_CHAT, flag_of
from microgpt_cli.training.documents import load_documents, split_documents
from microgpt_cli.training.options import N_SAMPLES

SHAPE = ("n_embd", "n_head", "n_layer", "block_size", "n_ff_exp", *ARCHITECTURE)
KARPATHY = vars(ModelConfig()) | vars(TrainConfig(lr=default_lr()))
CHARACTERS_PER_SUBWORD = 4  # upper estimate for English; sets the gap between splits
# If all of these options are given, no default depends on the documents.
MAIN_SHAPE = ("block_size", "n_embd", "n_layer")
# Options that can be changed with --resume.
MAY_CHANGE = {"resume", "input", "steps", "patience", "threads", "checkpoint_every", "format"}
MAY_CHANGE |= {"num_samples", "novel", "plot", "as_json"}


@dataclass(frozen=True)
class TrainingJob:
    """A training run to start or resume."""

    plan: TrainingPlan
    parts: Split
    parent: SavedModel | None = None  # model to fine-tune
    resume: TrainState | None = None


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


def new_job(settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> TrainingJob:
    """Return a new job; `overrides` contains the settings from the user, a preset or a genome."""
    count_samples(settings["num_samples"], chat=settings["chat"])
    names = {field.name for field in fields(TrainConfig)} & settings.keys()
    config = TrainConfig(**{name: settings[name] for name in names})
    _check_patience(config, settings["val_fraction"])
    preset, from_, genome = settings["preset"], settings["from_"], settings["genome"]
    chat, engine = settings["chat"], settings["engine"]
    kind, vocab_size = overrides.get("tokenizer"), overrides.get("vocab_size")
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
        docs, config = _drawn(preset, config.seed), replace(config, shuffle=False)
    size = overrides.get("block_size") or (parent.model.block_size if parent else STREAM_CONTEXT)
    is_bpe = (parent.tokenizer.kind if parent else kind) == "bpe"
    parts = _split(docs, settings, size * CHARACTERS_PER_SUBWORD if is_bpe else size)
    wanted = None
    if parent:
        tokenizer = _inherited_tokenizer(parent, parts, kind, vocab_size)
        shape = {name: overrides[name] for name in SHAPE if name in overrides}
        model = replace(parent.model, **shape, vocab_size=tokenizer.vocab_size)
        check_shape(parent, model)
    else:
        if kind == "bpe":
            wanted = DEFAULT_VOCAB_SIZE if vocab_size is None else vocab_size
        folds = preset is not None and PRESETS[preset].fold
        tokenizer = _new_tokenizer(parts, wanted, folds=folds)
        model = ModelConfig(**{name: settings[name] for name in SHAPE})
        if not overrides.keys() >= {*MAIN_SHAPE}:
            model, config = _fit_to_data(parts, tokenizer, model, config, overrides)
        model = replace(model, vocab_size=tokenizer.vocab_size)
    if config.lr is None:
        config = replace(config, lr=default_lr(model.n_embd))
    default = parent.dtype if parent and engine == "compiled" else DEFAULT_DTYPE[engine]
    plan = TrainingPlan(
        model=model,
        config=config,
        tokenizer=tokenizer,
        engine=engine,
        dtype=settings["dtype"] or default,
        vocab_size_wanted=wanted,
        data=parts.facts,
        input=Path(os.path.abspath(path)) if path else None,
        column=settings["column"],
        weights_format=settings["format"],
        preset=preset,
        parent_sha256=parent.meta.weights_sha256 if parent else None,
        genome_sha256=hashlib.sha256(genome.read_bytes()).hexdigest() if genome else None,
    )
    return TrainingJob(plan, parts, parent)


def _split(docs: Sequence[Document] | str, settings: Mapping[str, Any], gap: int) -> Split:
    preset, held_out = settings["preset"], (settings["val_fraction"], settings["test_fraction"])
    if settings["holdout"] and not (isinstance(docs, str) and any(held_out)):
        raise ConfigError(
            "--holdout requires running text and --val-fraction or --test-fraction; omit --holdout"
        )
    holdout = settings["holdout"] or (PRESETS[preset].holdout if preset else "spread")
    return split_documents(docs, *held_out, holdout, gap)


def _fit_to_data(
    parts: Split,
    tokenizer: Tokenizer,
    model: ModelConfig,
    config: TrainConfig,
    overrides: Mapping[str, Any],
) -> tuple[ModelConfig, TrainConfig]:
    """Replace the settings that are not in `overrides` by values that fit the documents."""
    fitted_model, fitted_config = defaults_for(parts, tokenizer, config.text)
    shape = {name: getattr(fitted_model, name) for name in MAIN_SHAPE if name not in overrides}
    names = [name for name in ("batch_size", "steps", "lr") if name not in overrides]
    training = {name: getattr(fitted_config, name) for name in names}
    model = replace(model, **shape)
    if "lr" in training and model.n_embd > fitted_model.n_embd:
        training["lr"] *= fitted_model.n_embd / model.n_embd
    chosen = shape | training
    if any(value != KARPATHY[name] for name, value in chosen.items()):
        options = " ".join(f"{flag_of(name)} {value:g}" for name, value in chosen.items())
        note(f"these settings fit the data; pass an option to change one: {options}")
    return model, replace(config, **training)


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


def _drawn(preset: PresetName | None, seed: int) -> Sequence[Document]:
    assert preset  # only presets have no input file
    return PRESETS[preset].draw(seed)


def _new_tokenizer(parts: Split, vocab_size: int | None, *, folds: bool) -> Tokenizer:
    """Train a BPE tokenizer on the training split, or return a character tokenizer."""
    if vocab_size is None:
        return (FoldingTokenizer.from_documents if folds else char_tokenizer)(parts.docs)
    tokenizer = BpeTokenizer.from_documents(parts.train, vocab_size)
    texts = list(chain.from_iterable(map(texts_of, parts.train)))
    n_characters, n_tokens = sum(map(len, texts)), sum(map(tokenizer.count, texts))
    note(
        f"trained a BPE tokenizer on {n_characters} characters: {tokenizer.vocab_size} tokens, "
        f"{n_characters / n_tokens:.2f} characters per token on average"
    )
    if tokenizer.vocab_size < vocab_size:
        note(
            f"the vocabulary has fewer than {vocab_size} tokens, because no other pair of "
            "tokens occurs twice"
        )
    return tokenizer


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


def refuse_unfinished(directory: TrainingDirectory) -> None:
    """Raise CheckpointError if a directory contains an unfinished training run."""
    if not directory.has_state:
        return
    plan, state, status = read_training(directory.path)
    if status == "running":
        raise CheckpointError(
            f"the training run in {directory.path} is unfinished (step {state.step} of "
            f"{plan.config.steps}); resume it with --resume {as_argument(directory.path)}, or "
            "replace it with --force"
        )


@dataclass(frozen=True)
class Ended:
    """A training run that has already ended."""

    step: int
    reason: Ending
    config: TrainConfig

    def message(self, path: Path) -> str:
        """Return a message that explains why the run ended and how to continue the run."""
        if self.reason == "patience":
            n, steps = self.config.patience or 0, self.config.steps
            why = f"stopped early after step {self.step}: {n} evaluations without improvement"
            more = f"pass for example --patience {2 * n} --steps {steps}"
        else:
            why, more = f"completed its {self.step} steps", "increase --steps"
        return f"the training run in {path} {why}; to continue it, {more}"


def resumed_job(directory: TrainingDirectory, given: Mapping[str, Any]) -> TrainingJob | Ended:
    """Return a resumed job after saving its changed settings, or `Ended` if the run has ended."""
    plan, state, status = read_training(directory.path)
    if status == "diverged":
        raise ConfigError(
            f"the training run in {directory.path} diverged after step {state.step} (the last good "
            f"weights are in {directory.path}.diverged); train from scratch with a smaller "
            "--learning-rate"
        )
    _check_options(directory.path, plan, given)
    changed = {name: given[name] for name in ("steps", "patience") if name in given}
    config = replace(plan.config, **changed)
    _check_patience(config, plan.data.val_fraction)
    if state.step > config.steps:
        raise ConfigError(
            f"--steps is {config.steps}, but the training run in {directory.path} is at step "
            f"{state.step}; increase --steps"
        )
    reason = ending(state.step, state.best, config)
    ended = Ended(state.step, reason, config) if status == "ended" and reason else None
    if ended and "input" not in given:
        return ended
    if config.steps < plan.config.steps:
        note(
            f"the run ends at step {config.steps}, not {plan.config.steps}; its learning rate "
            "now falls to 0 by then"
        )
    path = given.get("input") or plan.input
    if path and "input" not in given:
        check_regular(path, "pass the documents of this run with --data")
    if path:
        chat = plan.tokenizer.is_chat
        docs = load_documents(path, config.text, plan.column, chat=chat, check=False)
    else:
        docs = _drawn(plan.preset, config.seed)
    held_out = (plan.data.val_fraction, plan.data.test_fraction)
    parts = split_documents(docs, *held_out, plan.data.holdout or "tail", plan.data.gap)
    if parts.facts.sha256 != plan.data.sha256:
        raise ConfigError(
            f"{path or 'the preset'} is not the input of the run: the sha256 of its "
            f"documents is {parts.facts.sha256[:12]}…, not {plan.data.sha256[:12]}…; pass the "
            "original file with --data, or train the model on another text with --from"
        )
    if ended:
        return ended
    plan = replace(
        plan,
        config=config,
        input=Path(os.path.abspath(path)) if path else None,
        weights_format=given.get("format") or plan.weights_format,
    )
    directory.keep(plan, state)
    return TrainingJob(plan, parts, resume=state)


def _check_options(directory: Path, plan: TrainingPlan, given: Mapping[str, Any]) -> None:
    known: dict[str, Any] = {
        **vars(plan.model),
        **vars(plan.config),
        **vars(plan.data),
        "holdout": plan.data.holdout or "tail",
        "engine": plan.engine,
        "dtype": plan.dtype,
        "chat": plan.tokenizer.is_chat,
        "tokenizer": plan.tokenizer.kind,
        "vocab_size": plan.vocab_size_wanted or plan.model.vocab_size,
        "preset": plan.preset,
        "column": plan.column,
        "output": directory,
    }
    for name, value in given.items():
        if name in MAY_CHANGE:
            continue
        flag = flag_of(name)
        if name not in known:
            raise ConfigError(f"{flag} cannot be used with --resume; omit one of them")
        if value != known[name]:
            raise ConfigError(
                f"{flag} is {value}, but the run to resume has {known[name]}; omit {flag}"
            )


def _check_patience(config: TrainConfig, val_fraction: float) -> None:
    if config.patience and not val_fraction:
        raise ConfigError(
            "--patience requires --val-fraction; add --val-fraction or omit --patience"
        )
