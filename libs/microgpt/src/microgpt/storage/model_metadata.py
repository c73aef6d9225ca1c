"""A model with its metadata, meta.json: shape, tokenizer and training record."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from microgpt.config import DType, ModelConfig, TrainConfig, checked
from microgpt.data import TOKENIZERS
from microgpt.data.split import DataFacts
from microgpt.data.tokenizer import SPECIAL_TOKENS, Tokenizer, TokenizerKind
from microgpt.errors import CheckpointError, ConfigError, MicrogptError, TokenizerError
from microgpt.files import read_committed
from microgpt.formatting import first_problem, other_version
from microgpt.training_state import TrainedModel, TrainingPlan, TrainResult, TrainState

FORMAT_VERSION = 1
META = "meta.json"
# Files of a checkpoint. They are named here because importing `checkpoint` is slow.
STATE, STATE_DESCRIPTION = "train_state.safetensors", "train_state.json"
MAX_META_BYTES = 2**24  # a vocabulary of all Unicode characters, as \u escapes, takes 14 MB
MAX_TOKENIZER_BYTES = 2**26  # a vocabulary of a million tokens takes about 50 MB

SpecialTokens = tuple[Literal["user"], Literal["assistant"], Literal["end_turn"]]
Record = TypeVar("Record", bound=BaseModel)


def _check_training(facts: dict[str, Any]) -> dict[str, Any]:
    for field in fields(TrainConfig):
        value = facts.get(field.name, field.default)
        if (field.name, value) != ("steps", 0):  # a run that ended early can have 0 steps
            checked(field.name, value, field.type, **field.metadata)
    return facts


def _refuse(found: Any) -> None:
    if found is not None:
        raise ConfigError("an older microgpt wrote the model; train it again")


Refused = Annotated[Any, AfterValidator(_refuse), Field(exclude=True)]  # a field of older versions


class Meta(BaseModel):
    """The keys of meta.json, in the file's order. evolve-rust and MoonBase read some of them."""

    model_config = ConfigDict(strict=True)

    vocab_size: int
    n_embd: int
    n_head: int
    n_layer: int
    block_size: int
    chars: tuple[str, ...] | None = None  # vocabulary of a character tokenizer
    special_tokens: SpecialTokens | None = None
    format_version: int = FORMAT_VERSION
    weights_sha256: str | None = None
    n_ff_exp: int = ModelConfig.n_ff_exp
    init_std: float = ModelConfig.init_std
    architecture: str = "karpathy"  # checked by `ModelConfig`
    positions: Refused = None  # replaced by `architecture`
    dtype: DType = "float64"
    tokenizer: TokenizerKind = "char"
    fold: bool | None = None
    tokenizer_sha256: str | None = None
    documents_sha256: str | None = None  # hash of documents.crc32
    extra: dict[str, Any] | None = None  # records of plug-ins
    known_questions: Refused = None  # replaced by `extra`
    examples: tuple[str, ...] | None = None  # messages that the web page of a chat model suggests
    created_by: str | None = None
    created_at: str | None = None
    training: Annotated[dict[str, Any], AfterValidator(_check_training)] = {}

    def model_post_init(self, _: Any) -> None:
        """Raise ConfigError if the shape is invalid."""
        self.model()

    def model(self) -> ModelConfig:
        """Return the shape of the model."""
        return ModelConfig(**{each.name: getattr(self, each.name) for each in fields(ModelConfig)})


@dataclass(frozen=True, repr=False)
class SavedModel(TrainedModel):
    """A model loaded from a directory, including the content of meta.json."""

    meta: Meta
    progress: str | None = None  # progress of an unfinished run, such as "at step 400 of 1000"

    @property
    def config(self) -> TrainConfig:
        """The recorded lr, optimizer, weight_decay and text; the other settings are defaults."""
        config, training = super().config, self.meta.training
        for name in {"lr", "optimizer", "weight_decay", "text"} & training.keys():
            with suppress(ConfigError, TypeError):  # raised by invalid settings of other programs
                config = replace(config, **{name: training[name]})
        return config

    @property
    def trained_on(self) -> tuple[DataFacts | None, ...]:
        """The training data of the model, its parent and its teachers; None for unknown data."""
        training = self.meta.training
        data = {**training, "sha256": training.get("data_sha256")}
        is_derived = training.keys() & {"parent_sha256", "teachers"}
        ancestors = training.get("ancestor_data", [None] if is_derived else [])
        return tuple(map(_data_facts, [data, *(ancestors if isinstance(ancestors, list) else "?")]))

    @property
    def extra(self) -> Mapping[str, Any]:
        """The JSON record of each plug-in, by the name of the plug-in."""
        return self.meta.extra or {}

    @property
    def sha256(self) -> str:
        """The recorded SHA-256 of the weights file, else the SHA-256 of the weights in memory."""
        return self.meta.weights_sha256 or super().sha256


def meta_of(
    trained: TrainedModel, plan: TrainingPlan, state: TrainState, test_loss: float | None = None
) -> Meta:
    """Return the content of meta.json for a model produced by a training run."""
    best, docs = state.best, trained.documents if isinstance(trained, TrainResult) else ()
    longest = max((len(doc) for doc in docs if isinstance(doc, str)), default=0)
    is_long = longest >= plan.model.block_size and plan.config.text != "stream"
    training = _settings(plan) | {
        "steps": state.step,
        "train_loss": state.train_loss,
        "val_loss": best.val_loss if best else None,
        "test_loss": test_loss,
        "best_step": best.step if best else None,
        "seconds": round(state.seconds, 3),
        "longest": longest if is_long else None,  # number of characters in the longest document
    }
    meta = description_of(trained, **training)
    return meta.model_copy(update={"extra": plan.extra or None, "examples": plan.examples or None})


def description_of(trained: TrainedModel, **training: Any) -> Meta:
    """Return the content of meta.json for a model, without training facts that are None."""
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
    """Return the settings of a training run, in the order in which meta.json records them."""
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
        "baselines": plan.baselines or None,
        **{
            name: given[name] for name in ("preset", "genome", "minutes", "budget") if name in given
        },
        "edited_sources": plan.edited_sources or None,
    }


def read_meta(directory: Path) -> Meta:
    """Read meta.json; raise CheckpointError with the location of the error if it is invalid."""
    return read_record(Meta, directory, META)


def read_record(kind: type[Record], directory: Path, name: str) -> Record:
    """Read and validate a JSON file; raise CheckpointError with the location of an error."""
    path, content = directory / name, read_committed(directory, name, MAX_META_BYTES)
    version_read = kind.model_fields["format_version"].default
    if problem := other_version(content, "format_version", version_read):
        raise CheckpointError(f"{path}: {problem}")
    try:
        return kind.model_validate_json(content)
    except (ValidationError, MicrogptError) as error:
        raise CheckpointError(f"{path}: {first_problem(error)}") from error


def tokenizer_fields(tokenizer: Tokenizer) -> dict[str, object]:
    """Return the JSON fields that describe a tokenizer."""
    return {
        "tokenizer": tokenizer.kind,
        "chars": tokenizer.chars,
        "special_tokens": SPECIAL_TOKENS if tokenizer.is_chat else None,
        "fold": tokenizer.folds or None,
    }


def restore_tokenizer(
    path: Path, fields: Any, file: tuple[Path, bytes] | None, vocab_size: int
) -> Tokenizer:
    """Return the tokenizer that the `tokenizer_fields` of a JSON file describe.

    `file` is the path and the content of tokenizer.json, if this kind of tokenizer has one. Raise
    CheckpointError if the tokenizer is invalid or does not have vocab_size tokens.
    """
    vocabulary: Any = file[1] if file else fields.chars
    if vocabulary is None:
        raise CheckpointError(f"{path}: chars: field required")
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


def _data_facts(record: object) -> DataFacts | None:
    try:
        facts = TypeAdapter(DataFacts).validate_python(record)
        is_valid = facts.val_fraction >= 0 <= facts.test_fraction
        return facts if is_valid and facts.val_fraction + facts.test_fraction < 1 else None
    except ValidationError:  # the record is from another program, or damaged
        return None
