"""Genomes: settings of a training run, within limits. `Genome` has evolve-rust's seven genes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, get_args, get_type_hints

from microgpt import ConfigError, ModelConfig, TrainConfig, count_params
from microgpt_evolution.errors import GenomeError

WHOLE_LIMITS = {  # minimum and maximum of each integer gene, as in evolve-rust
    "n_emb": (1, 128),
    "n_ctx": (1, 256),
    "n_layer": (1, 12),
    "n_head": (1, 16),
    "n_ff_exp": (1, 8),
    "steps": (50, 10_000),
}
LR_LIMITS = (1e-6, 1.0)


@dataclass(frozen=True, slots=True)
class BaseGenome:
    """Base class of genomes, which are frozen dataclasses with a field for each gene.

    Raises:
        GenomeError: a gene is out of range, or two genes contradict each other.
    """

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}  # minimum and maximum of numbers
    library_names: ClassVar[Mapping[str, str]] = {}  # of settings that have another name there

    def __post_init__(self) -> None:
        for name, kinds in _kinds_of(type(self)).items():  # type: ignore[arg-type]
            _check(name, getattr(self, name), kinds, self.limits.get(name))
        try:
            self._check_together()
        except ConfigError as error:
            raise GenomeError(str(error)) from error

    def _check_together(self) -> None:
        """Raise ConfigError if the genes contradict each other."""
        self.model(vocab_size=1)
        TrainConfig(**self.settings_of(TrainConfig))

    def model(self, vocab_size: int = 0) -> ModelConfig:
        """Return the model configuration; if vocab_size is 0, `train` determines it."""
        return ModelConfig(**self.settings_of(ModelConfig) | {"vocab_size": vocab_size})

    def settings_of(self, config: type[ModelConfig] | type[TrainConfig]) -> dict[str, Any]:
        """Return the genes that are settings of a configuration, by setting name."""
        names = {field.name for field in fields(config)}
        genes = (field.name for field in fields(self))
        found = {self.library_names.get(name, name): getattr(self, name) for name in genes}
        return {name: gene for name, gene in found.items() if name in names}


@cache
def _kinds_of(genome: type[BaseGenome]) -> dict[str, tuple[Any, ...]]:
    hints = get_type_hints(genome)
    return {f.name: get_args(hints[f.name]) or (hints[f.name],) for f in fields(genome)}


def _check(
    name: str, gene: Any, kinds: tuple[Any, ...], limits: tuple[float, float] | None
) -> None:
    """Raise GenomeError unless a gene has the right type and is within its limits.

    Names, such as the optimizer, are checked by the configurations.
    """
    is_number = isinstance(gene, int | float) and not isinstance(gene, bool)
    if gene is None and type(None) in kinds:
        return
    if bool in kinds and not isinstance(gene, bool):
        raise GenomeError(f"{name} must be true or false, got {gene!r:.80}")
    if int in kinds and (not is_number or isinstance(gene, float)):
        raise GenomeError(f"{name} must be an integer, got {gene!r:.80}")
    if float in kinds and not is_number:
        raise GenomeError(f"{name} must be a number, got {gene!r:.80}")
    if limits and not limits[0] <= gene <= limits[1]:  # also rejects NaN
        least, most = (f"{limit:g}" if isinstance(limit, float) else limit for limit in limits)
        raise GenomeError(f"{name} must be between {least} and {most}, got {gene!r:.40}")


@dataclass(frozen=True, slots=True)
class Genome(BaseGenome):
    """The hyper-parameters of a model and its training run.

    Raises:
        GenomeError: a gene is out of range, or n_emb is not divisible by n_head.
    """

    limits: ClassVar = {**WHOLE_LIMITS, "lr": LR_LIMITS}
    library_names: ClassVar = {"n_emb": "n_embd", "n_ctx": "block_size"}

    n_emb: int
    n_ctx: int  # context length, in tokens
    n_layer: int  # number of transformer blocks
    n_head: int  # number of attention heads per layer
    n_ff_exp: int  # MLP hidden size divided by n_emb
    steps: int  # number of training steps, with one document per step
    lr: float  # initial learning rate

    def _check_together(self) -> None:
        if self.n_emb % self.n_head:
            raise GenomeError(f"n_emb ({self.n_emb}) must be divisible by n_head ({self.n_head})")

    @property
    def species(self) -> str:
        """The model shape, such as "16-4-1-16-4"; only steps and lr differ within a species."""
        shape = (self.n_emb, self.n_head, self.n_layer, self.n_ctx, self.n_ff_exp)
        return "-".join(map(str, shape))

    def describe(self) -> str:
        """Format the genome on one line, as in evolve-rust's log.

        Examples:
            >>> PRIMORDIAL.describe()
            'Emb:16  Head:4 Lay:1 Ctx:16 FF:4 LR:0.0050 Steps:200 '
        """
        return (
            f"Emb:{self.n_emb:<3} Head:{self.n_head} Lay:{self.n_layer} Ctx:{self.n_ctx:<2} "
            f"FF:{self.n_ff_exp} LR:{self.lr:.4f} Steps:{self.steps:<4}"
        )

    def train_config(self, seed: int) -> TrainConfig:
        """Return the training settings, with one document per step."""
        settings = self.settings_of(TrainConfig)
        return TrainConfig(batch_size=1, seed=seed, **settings)

    def n_params(self, vocab_size: int) -> int:
        """Return the number of parameters."""
        return count_params(self.model(vocab_size))

    def flops(self, vocab_size: int, n_tokens: int) -> int:
        """Return the number of FLOPs to train on n_tokens, with at most n_ctx tokens per step."""
        n_tokens = min(n_tokens, self.steps * self.n_ctx)
        return training_flops(self.model(vocab_size), n_docs=self.steps, n_tokens=n_tokens)


def training_flops(model: ModelConfig, *, n_docs: int, n_tokens: int) -> int:
    """Return the number of FLOPs to train on n_docs documents of equal length, n_tokens in total.

    Each matrix weight takes 2 FLOPs per token in the forward pass and 4 in the backward pass
    (Kaplan et al. 2020, table 1); wte and wpe are lookups. Attention at position t takes
    4 n_embd (t + 1) FLOPs per layer in the forward pass and twice as many in the backward pass
    (Chowdhery et al. 2022, appendix B; only the keys up to t are counted).
    """
    block = (4 + 2 * model.n_ff_exp) * model.n_embd**2
    matrices = 6 * (model.n_layer * block + model.vocab_size * model.n_embd) * n_tokens
    mean_keys = (n_tokens / n_docs + 1) / 2
    return matrices + round(12 * model.n_layer * model.n_embd * mean_keys * n_tokens)


GENES = tuple(field.name for field in fields(Genome))
PRIMORDIAL = Genome(n_emb=16, n_ctx=16, n_layer=1, n_head=4, n_ff_exp=4, steps=200, lr=0.005)
