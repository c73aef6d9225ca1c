"""The genome of a budgeted search: all settings of a training run but its number of steps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from microgpt.config import Activation, ModelConfig, Optimizer, Positions, TextKind, TrainConfig
from microgpt.errors import ConfigError
from microgpt.training.choice import WARMUP, Choice
from microgpt.training.operations import step_operations
from microgpt_evolution.errors import GenomeError

MAX_TOKENS_PER_STEP = 1_000_000
LIMITS: Mapping[str, tuple[float, float]] = {  # minimum and maximum of each number
    "n_embd": (1, 1024),
    "n_layer": (1, 32),
    "n_head": (1, 64),
    "n_ff_exp": (1, 16),
    "block_size": (1, 4096),
    "vocab_size": (257, 65_536),
    "n_tokens": (1, MAX_TOKENS_PER_STEP),
    "lr": (1e-6, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetedGenome:
    """The settings of a training run; the number of steps follows from the operations.

    Raises:
        GenomeError: a gene is out of range, or two genes contradict each other.
    """

    n_embd: int
    n_layer: int
    n_head: int
    n_ff_exp: int
    block_size: int
    vocab_size: int | None  # size of the BPE vocabulary; None for characters
    n_tokens: int  # number of predicted tokens per step
    lr: float
    optimizer: Optimizer
    weight_decay: float
    dropout: float
    average_tail: float
    positions: Positions
    token_shift: bool
    activation: Activation
    qk_norm: bool
    final_norm: bool
    out_scale: float

    def __post_init__(self) -> None:
        for name, kind in _kinds().items():
            _check(name, getattr(self, name), kind)
        try:
            self.model(vocab_size=1)
            TrainConfig(**self._fields_of(TrainConfig))
        except ConfigError as error:
            raise GenomeError(str(error)) from error

    def model(self, vocab_size: int) -> ModelConfig:
        """Return the model configuration for a tokenizer with this number of tokens."""
        return ModelConfig(**self._fields_of(ModelConfig) | {"vocab_size": vocab_size})

    def train_config(
        self, operations: float, length: float, *, vocab_size: int, text: TextKind, evaluations: int
    ) -> TrainConfig:
        """Return the training settings, with as many steps as the operations allow.

        Args:
            operations: cost of all steps; see `microgpt.training.operations`.
            length: mean number of predicted tokens per document or chunk.
            vocab_size: number of tokens of the tokenizer.
        """
        facts: dict[str, Any] = self._fields_of(TrainConfig) | {"text": text}
        config = TrainConfig(
            batch_size=max(1, round(self.n_tokens / length)), evaluations=evaluations, **facts
        )
        return with_steps(config, self.model(vocab_size), operations, length)

    @property
    def species(self) -> str:
        """The model shape, such as "64-4-3-16-4-char"."""
        shape = (self.n_embd, self.n_head, self.n_layer, self.block_size, self.n_ff_exp)
        return "-".join(map(str, (*shape, self.vocab_size or "char")))

    def describe(self) -> str:
        """Format the most important genes on one line."""
        tokens = f"{self.vocab_size} subwords" if self.vocab_size else "characters"
        return (
            f"layers {self.n_layer}, width {self.n_embd}, context {self.block_size}, {tokens}, "
            f"{self.n_tokens} tokens per step, learning rate {self.lr:.2g} ({self.optimizer}), "
            f"dropout {self.dropout:g}, weight decay {self.weight_decay:g}"
        )

    @classmethod
    def of(cls, choice: Choice, length: float, vocab_size: int | None) -> "BudgetedGenome":
        """Return the genome of settings chosen by the rule.

        Args:
            length: mean number of predicted tokens per document or chunk.
            vocab_size: requested size of the BPE vocabulary; None for characters.
        """
        known = {**vars(choice.config), **vars(choice.model)}
        known |= {"vocab_size": vocab_size, "n_tokens": round(choice.config.batch_size * length)}
        return cls(**{name: known[name] for name in GENES})

    def _fields_of(self, kind: type[ModelConfig] | type[TrainConfig]) -> dict[str, Any]:
        names = {field.name for field in fields(kind)} - {"vocab_size"}
        return {name: gene for name, gene in asdict(self).items() if name in names}


def with_steps(
    config: TrainConfig, model: ModelConfig, operations: float, length: float
) -> TrainConfig:
    """Return the settings with as many steps as the operations allow, without evaluations.

    The number of steps is a multiple of that of the evaluations, so the last one is at the end.
    """
    steps = max(1, int(operations / step_operations(model, config, length)))
    steps = max(steps - steps % config.evaluations, min(steps, config.evaluations))
    return replace(config, steps=steps, warmup_steps=steps // WARMUP)


GENES = tuple(field.name for field in fields(BudgetedGenome))


@cache
def _kinds() -> dict[str, Any]:
    return get_type_hints(BudgetedGenome)


def _check(name: str, gene: object, kind: Any) -> None:
    """Raise GenomeError unless a gene has the right type and is within its limits."""
    kinds = get_args(kind) if get_origin(kind) is UnionType else (kind,)
    if get_origin(kind) is Literal:
        if gene not in get_args(kind):
            expected = ", ".join(map(repr, get_args(kind)))
            raise GenomeError(f"{name} must be one of {expected}, got {gene!r:.80}")
        return
    if type(None) in kinds and gene is None:
        return
    is_number = isinstance(gene, int | float) and not isinstance(gene, bool)
    if not (isinstance(gene, bool) if bool in kinds else is_number):
        raise GenomeError(f"{name} must be a {kinds[0].__name__}, got {gene!r:.80}")
    if int in kinds and not isinstance(gene, int):
        raise GenomeError(f"{name} must be an integer, got {gene!r:.80}")
    least, most = LIMITS.get(name, (0, MAX_TOKENS_PER_STEP))
    if not least <= gene <= most:  # type: ignore[operator]
        raise GenomeError(f"{name} must be between {least:g} and {most:g}, got {gene!r:.40}")
