"""The genome: five genes for the shape of the model and two for the training run."""

from dataclasses import dataclass, fields, replace

from microgpt.config import LongDocs, ModelConfig, TrainConfig
from microgpt.flat_weights import RESULT_BYTES_PER_WEIGHT
from microgpt.model import count_params
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.flops import training_flops

WHOLE_LIMITS = {  # minimum and maximum of each integer gene, as in evolve-rust
    "n_emb": (1, 128),
    "n_ctx": (1, 256),
    "n_layer": (1, 12),
    "n_head": (1, 16),
    "n_ff_exp": (1, 8),
    "steps": (50, 10_000),
}
LR_LIMITS = (1e-6, 1.0)
LONG_DOCS: LongDocs = "truncate"  # evolve-rust also truncates long documents
# Ten float32 values: weight, gradient, two Adam moments, and two snapshots of weight and moments.
BYTES_PER_WEIGHT = 10 * 4 + RESULT_BYTES_PER_WEIGHT


@dataclass(frozen=True, slots=True)
class Genome:
    """The hyper-parameters of a model and its training run.

    Raises:
        GenomeError: a gene is out of range, or n_emb is not divisible by n_head.
    """

    n_emb: int
    n_ctx: int  # context length, in tokens
    n_layer: int  # number of transformer blocks
    n_head: int  # number of attention heads per layer
    n_ff_exp: int  # MLP hidden size divided by n_emb
    steps: int  # number of training steps, with one document per step
    lr: float  # initial learning rate

    def __post_init__(self) -> None:
        for name, (least, most) in WHOLE_LIMITS.items():
            gene = getattr(self, name)
            if not isinstance(gene, int) or isinstance(gene, bool):
                raise GenomeError(f"{name} must be an integer, got {gene!r:.80}")
            if not least <= gene <= most:
                raise GenomeError(f"{name} must be between {least} and {most}, got {gene!r:.40}")
        least_lr, most_lr = LR_LIMITS
        if isinstance(self.lr, bool) or not isinstance(self.lr, int | float):
            raise GenomeError(f"lr must be a number, got {self.lr!r:.80}")
        if not least_lr <= self.lr <= most_lr:  # also rejects NaN
            raise GenomeError(
                f"lr must be between {least_lr:g} and {most_lr:g}, got {self.lr!r:.40}"
            )
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

    def model(self) -> ModelConfig:
        """Return the model configuration; `train` sets vocab_size from the documents."""
        return ModelConfig(
            n_embd=self.n_emb,
            n_head=self.n_head,
            n_layer=self.n_layer,
            block_size=self.n_ctx,
            n_ff_exp=self.n_ff_exp,
        )

    def train_config(self, seed: int) -> TrainConfig:
        """Return the training settings, with one document per step."""
        return TrainConfig(
            steps=self.steps, batch_size=1, lr=self.lr, seed=seed, long_docs=LONG_DOCS
        )

    def n_params(self, vocab_size: int) -> int:
        """Return the number of parameters."""
        return count_params(replace(self.model(), vocab_size=vocab_size))

    def flops(self, vocab_size: int, n_tokens: int) -> int:
        """Return the number of FLOPs to train on n_tokens, with at most n_ctx tokens per step."""
        model = replace(self.model(), vocab_size=vocab_size)
        n_tokens = min(n_tokens, self.steps * self.n_ctx)
        return training_flops(model, n_docs=self.steps, n_tokens=n_tokens)

    def n_bytes(self, vocab_size: int) -> int:
        """Estimate the training memory in bytes.

        The engine needs slightly more because it pads its arrays. The estimate is the same on every
        machine.
        """
        hidden = self.n_ff_exp * self.n_emb
        per_layer = 6 * self.n_emb + hidden + self.n_head * (self.n_ctx + 1) / 2
        per_token = 8 * self.n_emb + hidden + vocab_size + self.n_layer * per_layer
        return BYTES_PER_WEIGHT * self.n_params(vocab_size) + round(4 * self.n_ctx * per_token)


GENES = tuple(field.name for field in fields(Genome))
PRIMORDIAL = Genome(n_emb=16, n_ctx=16, n_layer=1, n_head=4, n_ff_exp=4, steps=200, lr=0.005)
