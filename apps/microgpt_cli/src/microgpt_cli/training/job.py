"""What `microgpt train` is asked for: a new training, or one to go on with."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt.config import DType, EngineName, ModelConfig, TrainConfig, WeightsFormat
from microgpt.data.bpe import DEFAULT_VOCAB_SIZE, BpeTokenizer
from microgpt.data.dataset import Split
from microgpt.data.tokenizer import CharTokenizer, Tokenizer, TokenizerKind, texts_of
from microgpt.errors import ConfigError
from microgpt.state import Ending, TrainingPlan, TrainState, ending
from microgpt.storage.model_directory import SavedModel, load
from microgpt.storage.training_directory import TrainingDirectory
from microgpt.training.engines import DEFAULT_DTYPE
from microgpt.training.finetune import check_shape, extended_tokenizer, new_tokens
from microgpt.training.presets import PresetName
from microgpt_cli.terminal.console import note
from microgpt_cli.training.data import check_regular, input_of, parts_of

if TYPE_CHECKING:
    from microgpt.training.engines import Use

MAY_CHANGE = {  # on the way; all else belongs to the training
    "resume", "input", "steps", "patience", "threads", "checkpoint_every", "format", "num_samples",
    "plot", "as_json",
}  # fmt: skip


@dataclass(frozen=True)
class TrainingJob:
    """A training that is about to begin, or to go on.

    Attributes:
        plan: what it is.
        parts: the documents.
        parent: the model whose weights it begins with.
        resume: where it stands.
    """

    plan: TrainingPlan
    parts: Split
    parent: SavedModel | None = None
    resume: TrainState | None = None

    def uses(self, *, has_samples: bool) -> "list[Use]":
        """Return what the engine will be used for."""
        uses: list[Use] = ["training"]
        uses += ["decoding"] if has_samples else []
        uses += ["evaluation"] if self.parts.validation or self.parts.test else []
        return uses


def new_job(
    path: Path | None,
    *,
    chat: bool,
    tokenizer: TokenizerKind | None,
    vocab_size: int | None,
    val_fraction: float,
    test_fraction: float,
    shape: Mapping[str, int],
    config: TrainConfig,
    engine: EngineName,
    dtype: DType | None,
    weights_format: WeightsFormat | None,
    preset: PresetName | None,
    from_: Path | None,
    genome: Path | None,
) -> TrainingJob:
    """Return a training from its beginning.

    Args:
        path: of the training data; by default those of the preset, Karpathy's names or the bundled
            conversations.
        chat: whether they are conversations.
        tokenizer: what a token is, if it was asked for; by default as for the model to begin with,
            or a character.
        vocab_size: how many subword tokens there are to be, if it was asked for.
        val_fraction: the share of them to hold out.
        test_fraction: the share to hold out to the end.
        shape: the sizes of the model that were asked for, by name.
        config: the course.
        engine: which computes it.
        dtype: of its numbers.
        weights_format: of the model that is to be written.
        preset: that other settings came from, if they did.
        from_: the directory of the model to begin with.
        genome: the file that shape and course come from, if they do.
    """
    _check_patience(config, val_fraction)
    parent = load(from_) if from_ else None
    path = path or input_of(preset, chat=chat)
    parts = parts_of(path, preset, config, chat=chat, validation=val_fraction, test=test_fraction)
    wanted = None
    if parent:
        learnt = _inherited_tokenizer(parent, parts, tokenizer, vocab_size)
        model = replace(parent.model, **shape, vocab_size=learnt.vocab_size)
        check_shape(parent, model)
    else:
        if tokenizer == "bpe":
            wanted = DEFAULT_VOCAB_SIZE if vocab_size is None else vocab_size
        learnt = _new_tokenizer(parts, wanted)
        model = ModelConfig(**shape, vocab_size=learnt.vocab_size)
    default = parent.dtype if parent and engine == "compiled" else DEFAULT_DTYPE[engine]
    plan = TrainingPlan(
        model=model,
        config=config,
        tokenizer=learnt,
        engine=engine,
        dtype=dtype or default,
        vocab_size_wanted=wanted,
        data=parts.facts,
        input=Path(os.path.abspath(path)) if path else None,
        weights_format=weights_format,
        preset=preset,
        parent_sha256=parent.meta.weights_sha256 if parent else None,
        genome_sha256=hashlib.sha256(genome.read_bytes()).hexdigest() if genome else None,
    )
    return TrainingJob(plan, parts, parent)


def _new_tokenizer(parts: Split, vocab_size: int | None) -> Tokenizer:
    """Return the tokenizer of what comes often in what is not held out, or of all characters."""
    if vocab_size is None:
        return CharTokenizer.from_documents(parts.docs)
    tokenizer = BpeTokenizer.from_documents(parts.train, vocab_size)
    texts = list(chain.from_iterable(map(texts_of, parts.train)))
    n_characters, n_tokens = sum(map(len, texts)), sum(map(tokenizer.count, texts))
    note(
        f"{tokenizer.vocab_size} tokens from {n_characters} characters to learn from; one stands "
        f"for {n_characters / n_tokens:.2f} on average"
    )
    if tokenizer.vocab_size < vocab_size:
        note(f"there are not {vocab_size}, as nothing more comes twice")
    return tokenizer


def _inherited_tokenizer(
    parent: SavedModel, parts: Split, kind: TokenizerKind | None, vocab_size: int | None
) -> Tokenizer:
    """Return the tokenizer of a model to begin with, which knows the documents, too."""
    tokenizer = extended_tokenizer(parent, parts.docs)
    for flag, wanted, found in (
        ("--tokenizer", kind, tokenizer.kind),
        ("--vocab-size", vocab_size, parent.tokenizer.vocab_size),
    ):
        if wanted not in (None, found):
            raise ConfigError(
                f"{flag} is {wanted}, but {found} in the model to begin with; leave it out"
            )
    if added := new_tokens(parent, tokenizer):
        note(f"new to the model, so their weights are drawn: {', '.join(map(repr, added))}")
    return tokenizer


@dataclass(frozen=True)
class Ended:
    """A training that has nothing more to do.

    Attributes:
        step: the steps that it took.
        reason: why it ended.
    """

    step: int
    reason: Ending

    def what_to_do(self, path: Path) -> str:
        """Return what the user should know."""
        if self.reason == "patience":
            why, more = f"ran out of patience after step {self.step}", "--patience"
        else:
            why, more = f"took all its {self.step} steps", "--steps"
        return f"the training in {path} {why}; to go on, give it more {more}"


def resumed_job(directory: TrainingDirectory, given: Mapping[str, Any]) -> TrainingJob | Ended:
    """Return a training from where it stands; its settings, which may be new, are kept at once.

    Args:
        directory: where it is.
        given: the options that were given, by name.

    Raises:
        ConfigError: an option or the data contradicts the training.
    """
    plan, state, status = directory.read_state()
    if status == "diverged":
        raise ConfigError(
            f"the loss of the training in {directory.path} was no longer finite after step "
            f"{state.step} (its last good weights are in {directory.path}.diverged); train anew "
            "with a smaller --lr"
        )
    _check_options(directory.path, plan, given)
    changed = {name: given[name] for name in ("steps", "patience") if name in given}
    config = replace(plan.config, **changed)
    _check_patience(config, plan.data.val_fraction)
    if state.step > config.steps:
        raise ConfigError(
            f"--steps is {config.steps}, but the training in {directory.path} is at step "
            f"{state.step}"
        )
    reason = ending(state.step, state.best, config)
    if status == "ended" and reason:
        return Ended(state.step, reason)
    if plan.input and "input" not in given:
        check_regular(plan.input, "name the documents of this training with --input")
    path = given.get("input") or plan.input
    parts = parts_of(
        path,
        plan.preset,
        config,
        chat=plan.tokenizer.is_chat,
        validation=plan.data.val_fraction,
        test=plan.data.test_fraction,
    )
    if parts.facts.sha256 != plan.data.sha256:
        raise ConfigError(
            f"{path or 'the preset'} is not what the training began with: its documents have the "
            f"sha256 {parts.facts.sha256[:12]}…, not {plan.data.sha256[:12]}…; name the old file "
            "with --input"
        )
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
        "engine": plan.engine,
        "dtype": plan.dtype,
        "chat": plan.tokenizer.is_chat,
        "tokenizer": plan.tokenizer.kind,
        "vocab_size": plan.vocab_size_wanted or plan.model.vocab_size,
        "preset": plan.preset,
        "output": directory,
    }
    for name, value in given.items():
        if name in MAY_CHANGE:
            continue
        flag = f"--{name.strip('_').replace('_', '-')}"
        if name not in known:
            raise ConfigError(f"{flag} does not go with --resume; leave one of them out")
        if value != known[name]:
            raise ConfigError(
                f"{flag} is {value}, but {known[name]} in the training to resume; leave it out"
            )


def _check_patience(config: TrainConfig, val_fraction: float) -> None:
    if config.patience and not val_fraction:
        raise ConfigError("--patience goes with --val-fraction; add it, or leave both out")
