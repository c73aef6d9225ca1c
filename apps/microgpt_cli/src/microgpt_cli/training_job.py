"""What `microgpt train` is asked for: a new training, or one to go on with."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt.checkpoint import SavedModel, load
from microgpt.config import DType, EngineName, ModelConfig, TrainConfig
from microgpt.data import (
    Split,
    bundled,
    load_conversations,
    load_stream,
    load_text,
    split,
    split_stream,
)
from microgpt.engines import DEFAULT_DTYPE
from microgpt.errors import ConfigError
from microgpt.presets import PRESETS, PresetName
from microgpt.state import Ending, TrainState, ending
from microgpt.state_files import TrainingPlan
from microgpt.tokenizer import CharTokenizer, Document
from microgpt.training_directory import TrainingDirectory
from microgpt.transfer import check_shape, extended_tokenizer, new_tokens
from microgpt.weights_file import WeightsFormat
from microgpt_cli.options import DEFAULT_CHAT, DEFAULT_TEXT
from microgpt_cli.streams import note

if TYPE_CHECKING:
    from microgpt.engines import Use

MAY_CHANGE = {  # on the way; all else belongs to the training
    "resume", "input", "steps", "patience", "threads", "checkpoint_every", "format", "num_samples",
    "plot", "as_json",
}  # fmt: skip


@dataclass(frozen=True)
class Job:
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
) -> Job:
    """Return a training from its beginning.

    Args:
        path: of the training data; by default those of the preset, Karpathy's names or the bundled
            conversations.
        chat: whether they are conversations.
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
    path = path or (None if preset else default_input(chat=chat))
    parts = _parts(path, preset, config, chat=chat, validation=val_fraction, test=test_fraction)
    if parent:
        tokenizer = extended_tokenizer(parent, parts.docs)
        model = replace(parent.model, **shape, vocab_size=tokenizer.vocab_size)
        check_shape(parent, model)
        if added := new_tokens(parent, tokenizer):
            note(f"new to the model, so their weights are drawn: {', '.join(map(repr, added))}")
    else:
        tokenizer = CharTokenizer.from_documents(parts.docs)
        model = ModelConfig(**shape, vocab_size=tokenizer.vocab_size)
    default = parent.dtype if parent and engine == "compiled" else DEFAULT_DTYPE[engine]
    plan = TrainingPlan(
        model=model,
        config=config,
        tokenizer=tokenizer,
        engine=engine,
        dtype=dtype or default,
        data=parts.facts,
        input=Path(os.path.abspath(path)) if path else None,
        weights_format=weights_format,
        preset=preset,
        parent_sha256=parent.meta.weights_sha256 if parent else None,
        genome_sha256=hashlib.sha256(genome.read_bytes()).hexdigest() if genome else None,
    )
    return Job(plan, parts, parent)


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


def resumed_job(directory: TrainingDirectory, given: Mapping[str, Any]) -> Job | Ended:
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
    path = given.get("input") or plan.input
    parts = _parts(
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
    return Job(plan, parts, resume=state)


def _check_options(directory: Path, plan: TrainingPlan, given: Mapping[str, Any]) -> None:
    known: dict[str, Any] = {
        **vars(plan.model),
        **vars(plan.config),
        **vars(plan.data),
        "engine": plan.engine,
        "dtype": plan.dtype,
        "chat": plan.tokenizer.is_chat,
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


def default_input(*, chat: bool = False) -> Path:
    """Return where the data are when nothing is named: here, or else with microgpt."""
    name = DEFAULT_CHAT if chat else DEFAULT_TEXT
    path = Path("data", name)
    if not os.path.exists(path):
        note(f"there is no {path} here; using the {name} that comes with microgpt")
        path = bundled(name)
    return path


def _parts(
    path: Path | None,
    preset: PresetName | None,
    config: TrainConfig,
    *,
    chat: bool,
    validation: float,
    test: float,
) -> Split:
    """Return the documents of a file, or without one those of a preset, by what they are for."""
    docs: Sequence[Document]
    if path is None:
        assert preset
        docs = PRESETS[preset].draw(config.seed)
    elif config.text == "stream":
        return split_stream(load_stream(path), validation=validation, test=test)
    else:
        docs = load_conversations(path, tell=note) if chat else load_text(path)
    return split(docs, validation=validation, test=test)
