"""meta.json: model shape, tokenizer and metadata of the training run; restore the tokenizer."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from microgpt.config import Architecture, DType, ModelConfig, TrainConfig, checked
from microgpt.data.split import DataFacts
from microgpt.data.tokenizer import SPECIAL_TOKENS, Tokenizer, TokenizerKind
from microgpt.data.tokenizers import TOKENIZERS
from microgpt.error_format import first_problem, other_version
from microgpt.errors import CheckpointError, ConfigError, MicrogptError, TokenizerError
from microgpt.files.atomic_files import read_committed
from microgpt.state import Ensemble, TrainedModel, TrainingPlan, TrainState

FORMAT_VERSION = 1
META = "meta.json"
# Files of a checkpoint; see `training_directory`, which loads slower.
STATE, STATE_DESCRIPTION = "train_state.safetensors", "train_state.json"
MAX_META_BYTES = 2**24  # all Unicode characters as \u escapes take 14 MB
MAX_TOKENIZER_BYTES = 2**26  # a vocabulary of a million tokens takes about 50 MB

SHAPE = {field.name: field for field in fields(ModelConfig)}


def _check_json(facts: dict[str, Any]) -> dict[str, Any]:
    json.dumps(facts, allow_nan=False)  # pydantic accepts NaN for Any, but NaN is not valid JSON
    return facts


def _check_training(facts: dict[str, Any]) -> dict[str, Any]:
    for field in fields(TrainConfig):
        value = facts.get(field.name, field.default)
        if (field.name, value) != ("steps", 0):  # the run may have ended before its first step
            checked(field.name, value, field.type, **field.metadata)
    return _check_json(facts)


def _refuse(found: Any) -> None:
    if found is not None:
        raise ConfigError("an older microgpt wrote the model; train it again")


Refused = Annotated[Any, AfterValidator(_refuse), Field(exclude=True)]  # of an older microgpt


class Meta(BaseModel):
    """Content of meta.json in key order. evolve-rust and MoonBase use only the first keys."""

    model_config = ConfigDict(strict=True)

    vocab_size: int
    n_embd: int
    n_head: int
    n_layer: int
    block_size: int
    chars: tuple[str, ...] | None = None  # vocabulary of a character tokenizer
    special_tokens: tuple[str, ...] | None = None
    format_version: int = FORMAT_VERSION
    weights_sha256: str | None = None
    n_ff_exp: int = ModelConfig.n_ff_exp
    init_std: float = ModelConfig.init_std
    architecture: Architecture = "karpathy"
    positions: Refused = None  # before there were architectures
    dtype: DType = "float64"
    tokenizer: str = "char"
    fold: bool | None = None
    tokenizer_sha256: str | None = None
    documents_sha256: str | None = None  # of documents.crc32
    extra: Annotated[dict[str, Any], AfterValidator(_check_json)] | None = None  # of plug-ins
    known_questions: Refused = None  # before there was `extra`
    examples: tuple[str, ...] | None = None  # messages that the page of a chat model offers
    created_by: str | None = None
    created_at: str | None = None
    training: Annotated[dict[str, Any], AfterValidator(_check_training)] = {}

    @field_validator(*SHAPE, mode="before")
    @classmethod
    def check_shape(cls, value: Any, info: ValidationInfo) -> Any:
        """Return a value of the shape; raise ConfigError if it is invalid."""
        field = SHAPE[info.field_name or ""]
        return checked(field.name, value, field.type, **field.metadata)

    def model(self) -> ModelConfig:
        """Return the shape of the model."""
        return ModelConfig(**{name: getattr(self, name) for name in SHAPE})


def meta_of(
    trained: TrainedModel, plan: TrainingPlan, state: TrainState, test_loss: float | None = None
) -> Meta:
    """Return the content of meta.json for a model produced by a training run."""
    best = state.best
    training = _settings(plan) | {
        "steps": state.step,
        "train_loss": state.train_loss,
        "val_loss": best.val_loss if best else None,
        "test_loss": test_loss,
        "best_step": best.step if best else None,
        "seconds": round(state.seconds, 3),
    }
    meta = description_of(trained, **training)
    facts = {"extra": plan.extra or None, "examples": plan.examples or None}
    return meta.model_copy(update=facts)


def description_of(trained: TrainedModel, **training: Any) -> Meta:
    """Return the content of meta.json for a model, without facts that are None."""
    return Meta.model_validate({
        **asdict(trained.model),
        **tokenizer_fields(trained.tokenizer),
        "dtype": trained.dtype,
        "created_by": f"microgpt {version('microgpt-lib')}",
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "training": {name: fact for name, fact in training.items() if fact is not None},
    })  # fmt: skip


def is_result_of(plan: TrainingPlan, meta: Meta) -> bool:
    """Return whether a model has the shape, vocabulary and settings of a training plan."""
    model = asdict(plan.model) | tokenizer_fields(plan.tokenizer) | {"dtype": plan.dtype}
    return all(getattr(meta, name) == value for name, value in model.items()) and all(
        meta.training.get(name) == value for name, value in _settings(plan).items()
    )


def _settings(plan: TrainingPlan) -> dict[str, object]:
    """Return the settings of a training run as recorded in meta.json, in key order."""
    config, data, given = plan.config, plan.data, plan.given
    usual = {field.name: field.default for field in fields(TrainConfig)}
    always, never = ("seed", "steps", "batch_size", "lr"), ("engine", "dtype")
    others = (name for name in usual if name not in (*always, *never))
    names = [*always, *(name for name in others if getattr(config, name) != usual[name])]
    return {
        **{name: getattr(config, name) for name in names},
        "data_sha256": data.sha256,
        "n_docs": data.n_docs,
        "val_fraction": data.val_fraction or None,
        "test_fraction": data.test_fraction or None,
        "gap": data.gap,
        "parent_sha256": plan.parent_sha256,
        "teachers": [Path(each.directory).name for each in plan.teachers] or None,
        "teacher_sha256": [each.weights_sha256 for each in plan.teachers] or None,
        "ancestor_data": [each and asdict(each) for each in plan.ancestor_data] or None,
        "contamination": plan.contamination or None,
        **{
            name: given[name] for name in ("preset", "genome", "minutes", "budget") if name in given
        },
        "edited_sources": plan.edited_sources or None,
        "legs": [[*leg] for leg in plan.legs] or None,
        "ensemble": _ensemble(plan.ensemble) if plan.ensemble else None,
    }


def _ensemble(ensemble: Ensemble) -> dict[str, float | dict[str, float] | None]:
    teacher = ensemble.teacher
    return {
        "n_teachers": ensemble.n_teachers,
        "n_samples": ensemble.n_samples,
        "ngram_weight": ensemble.ngram_weight,
        "teacher": {name: getattr(teacher, name) for name in ("steps", "dropout", "weight_decay")},
    }


def trained_on(training: Mapping[str, Any]) -> tuple[DataFacts | None, ...]:
    """Return the data of a training run, its parent and its teachers; None for unknown data."""
    is_stream = training.get("text") == "stream"
    has_split = training.keys() & {"val_fraction", "test_fraction"}
    is_unknown = is_stream and has_split and "gap" not in training  # another program's split
    own = None if is_unknown else {**training, "sha256": training.get("data_sha256")}
    is_derived = training.keys() & {"parent_sha256", "teachers"}
    ancestors = training.get("ancestor_data", [None] if is_derived else [])
    return (_data_facts(own), *map(_data_facts, ancestors if isinstance(ancestors, list) else "?"))


def _data_facts(record: object) -> DataFacts | None:
    try:
        facts = TypeAdapter(DataFacts).validate_python(record)
        is_valid = facts.val_fraction >= 0 <= facts.test_fraction
        return facts if is_valid and facts.val_fraction + facts.test_fraction < 1 else None
    except (ValidationError, MicrogptError):  # written by another program, or damaged
        return None


def read_meta(directory: Path, kind: TokenizerKind | None = None) -> Meta:
    """Read meta.json; raise CheckpointError with the location of the error if it is not valid.

    Args:
        kind: the tokenizer, if it is not the one that the file says.
    """
    path, content = directory / META, read_committed(directory, META, MAX_META_BYTES)
    if problem := other_version(content, "format_version", FORMAT_VERSION):
        raise CheckpointError(f"{path}: {problem}")
    try:
        meta = Meta.model_validate_json(content)
    except (ValidationError, ConfigError) as error:
        raise CheckpointError(f"{path}: {first_problem(error)}") from error
    if kind:
        meta = meta.model_copy(update={"tokenizer": kind})
    check_tokenizer_fields(path, meta)
    return meta


class TokenizerFields(Protocol):
    """The fields of a JSON file that describe a tokenizer."""

    tokenizer: str
    chars: tuple[str, ...] | None  # the vocabulary of a character tokenizer
    special_tokens: tuple[str, ...] | None  # names of the chat tokens; None if there are none
    fold: bool | None  # whether a character tokenizer folds case and accents


def tokenizer_fields(tokenizer: Tokenizer) -> dict[str, object]:
    """Return the values of all `TokenizerFields` for a tokenizer."""
    return {
        "tokenizer": tokenizer.kind,
        "chars": tokenizer.chars,
        "special_tokens": SPECIAL_TOKENS if tokenizer.is_chat else None,
        "fold": tokenizer.folds or None,
    }


def check_tokenizer_fields(path: Path, fields: TokenizerFields) -> None:
    """Raise CheckpointError with the path of the JSON file if the fields are invalid."""
    kind = fields.tokenizer
    kinds = dict.fromkeys(each.kind for each in TOKENIZERS.values())
    if kind not in kinds:
        expected = " or ".join(map(repr, kinds))
        raise CheckpointError(f"{path}: unknown tokenizer {kind!r:.80} (expected {expected})")
    if not TOKENIZERS[kind].has_file and fields.chars is None:
        raise CheckpointError(f"{path}: chars: field required")
    if fields.special_tokens not in (None, SPECIAL_TOKENS):
        raise CheckpointError(f"{path}: special_tokens must be {list(SPECIAL_TOKENS)} or absent")


def restore_tokenizer(
    path: Path, fields: TokenizerFields, file: tuple[Path, bytes] | None, vocab_size: int
) -> Tokenizer:
    """Restore a tokenizer from the fields of a JSON file.

    Args:
        path: path of the JSON file, for error messages.
        file: path and content of tokenizer.json, if the kind has a file.

    Raises:
        CheckpointError: the tokenizer is invalid or does not have vocab_size tokens.
    """
    vocabulary: Any = file[1] if file else fields.chars
    kind = "fold" if fields.fold and fields.tokenizer == "char" else fields.tokenizer
    try:
        tokenizer = TOKENIZERS[kind](vocabulary, is_chat=fields.special_tokens is not None)
    except TokenizerError as error:
        raise CheckpointError(f"{file[0] if file else path}: {error}") from error
    if tokenizer.vocab_size != vocab_size:
        what = "subword tokens" if file else tokenizer.unit
        raise CheckpointError(
            f"{path}: vocab_size is {vocab_size}, but there are {tokenizer.vocab_size} {what} "
            "and special tokens"
        )
    return tokenizer
