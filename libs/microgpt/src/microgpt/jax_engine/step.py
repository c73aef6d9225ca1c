"""Training step in JAX as pure functions: the loss of a batch, its gradients, and the update.

The same computation as `ReferenceEngine.step` and `MuonEngine.update`, on arrays. `read_batch` and
`train_step` can be mapped over a population (`jax.vmap` over the state, the rates and the seed) and
sharded over the documents of a batch. JAX's 64-bit types must be enabled: see `precise`.
Shapes: B = documents, T = tokens of each, C = n_embd, H = n_head, D = head_dim, L = n_layer, V =
vocab_size. The blocks of all layers are stacked.
"""

import math
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import NamedSharding
from numpy.typing import NDArray

from microgpt.config import MUON_LR_RATIO, MUON_MOMENTUM, DType, ModelConfig, TrainConfig
from microgpt.dropout_mask import GOLDEN_32, GOLDEN_64, ROUNDS_32, ROUNDS_64
from microgpt.engine.dataset import Dataset
from microgpt.engine.training.trainer import learning_rates
from microgpt.model_config import count_params
from microgpt.model_variants import QK_SCALE, angles
from microgpt.newton_schulz import COEFFICIENTS, N_ITERATIONS, NORM_EPS

RECOMPUTED = 10_000_000  # number of weights from which the backward pass recomputes the blocks
TOKENS = 65_536  # the tokens are padded to a multiple, so that similar data share a program
UNROLLED = 4  # number of layers in one iteration of the loop over the layers


class StackedWeights(NamedTuple):
    """All weights of a model, their gradients or their running means."""

    wte: Any  # (V, C)
    wpe: Any  # (n_positions, C)
    lm_head: Any  # (V, C)
    attn: Any  # (L, 4, C, C): wq, wk, wv, wo
    mlp_fc1: Any  # (L, n_ff_exp C, C)
    mlp_fc2: Any  # (L, C, n_ff_exp C)


class State(NamedTuple):
    """What a step changes."""

    weights: StackedWeights
    m: StackedWeights  # running means of the gradients
    v: StackedWeights  # running means of the squared gradients
    step: Any  # number of completed steps, int64


class Data(NamedTuple):
    """Training documents in reading order; the arrays are those of `engine.dataset.Dataset`."""

    tokens: Any  # tokens of all documents, int32
    mask: Any  # 1 for tokens that count, int8; empty if all count
    soft_targets: Any  # (predictions, V), float32; no rows if the targets are tokens
    begins: Any  # (documents), index of the first token of each
    lengths: Any  # (documents), number of predictions
    rows: Any  # (documents), first row of soft_targets


class Rates(NamedTuple):
    """Factors of a step, or of several: (steps)."""

    adam_lr: Any  # with the bias correction of m
    v_scale: Any  # bias correction of v
    adam_kept: Any  # share of a weight that weight decay keeps
    muon_lr: Any
    muon_kept: Any
    kept_from: Any  # dropout: smallest hash of a unit that is kept, uint32
    dropout_scale: Any  # factor of the units that are kept


class PaddedBatch(NamedTuple):
    """The documents of a step, padded at the end."""

    tokens: Array  # (B, T)
    targets: Array  # (B, T) tokens, or (B, T, V) probabilities
    counted: Array  # (B, T), 1 if the prediction counts
    keys: Array  # (B, T), dropout keys, uint32


@dataclass(frozen=True)
class Setup:
    """What a compiled step depends on, besides the shapes of its arguments."""

    model: ModelConfig
    optimizer: str
    beta1: float
    beta2: float
    eps: float
    batch_size: int
    longest: int  # T, the number of predictions of the longest document
    has_dropout: bool
    dtype: DType
    bfloat16: bool = False  # whether to compute in bfloat16; the weights stay in float32
    rows: NamedSharding | None = None  # the devices that share the documents of a batch

    @property
    def n_rows(self) -> int:
        """The number of documents of a batch, padded to the same number on each device."""
        n = self.rows.mesh.size if self.rows else 1
        return -(-self.batch_size // n) * n

    @classmethod
    def of(cls, model: ModelConfig, config: TrainConfig, longest: int, dtype: DType) -> "Setup":
        """Return the setup of a training run."""
        return cls(
            model=model,
            optimizer=config.optimizer,
            beta1=config.beta1,
            beta2=config.beta2,
            # A smaller epsilon could round to 0, and the update of unused weights would be 0 / 0.
            eps=max(config.adam_eps, float(np.finfo(dtype).tiny)),
            batch_size=config.batch_size,
            longest=longest,
            has_dropout=config.dropout > 0,
            dtype=dtype,
            bfloat16=config.bfloat16,
        )


def precise() -> ExitStack:
    """Enable 64-bit types and exact float32 products; GPUs round their factors otherwise."""
    stack = ExitStack()
    stack.enter_context(jax.enable_x64(True))
    stack.enter_context(jax.default_matmul_precision("highest"))
    return stack


def from_flat(model: ModelConfig, numbers: Any, dtype: DType) -> StackedWeights:
    """Return flat numbers, in the order of `weight_shapes`, as NumPy arrays."""
    C, L, square = model.n_embd, model.n_layer, model.n_embd**2
    n_rows = np.array([model.vocab_size, model.n_positions, model.vocab_size])
    *tables, blocks = np.split(np.asarray(numbers, dtype), np.cumsum(n_rows * C))
    ends = [4 * square, (4 + model.n_ff_exp) * square]
    attn, fc1, fc2 = np.split(blocks.reshape(L, -1), ends, axis=1)
    tables = [table.reshape(-1, C) for table in tables]
    stacked = attn.reshape(L, 4, C, C), fc1.reshape(L, -1, C), fc2.reshape(L, C, -1)
    return StackedWeights._make((*tables, *stacked))


def to_flat(weights: StackedWeights) -> NDArray[Any]:
    """Return the numbers in the order of `weight_shapes`."""
    *tables, attn, fc1, fc2 = map(np.asarray, weights)
    blocks = np.concatenate([part.reshape(len(attn), -1) for part in (attn, fc1, fc2)], axis=1)
    return np.concatenate([*(table.ravel() for table in tables), blocks.ravel()])


def data_of(dataset: Dataset) -> Data:
    """Return the documents as NumPy arrays."""
    begins, padding = dataset.starts[:-1], (0, -len(dataset.tokens) % TOKENS)
    return Data(
        tokens=np.pad(dataset.tokens.astype(np.int32), padding),
        mask=np.pad(dataset.mask, padding) if dataset.mask.size else dataset.mask,
        soft_targets=dataset.soft_targets,
        begins=begins,
        lengths=np.diff(dataset.starts) - 1,
        rows=begins - np.arange(len(begins)),
    )


def rates_of(config: TrainConfig, steps: NDArray[Any], dtype: DType) -> Rates:
    """Return the factors of steps, counted from 0, as NumPy arrays."""
    lrs, n = learning_rates(config, steps), steps + 1.0
    factors = (
        lrs / (1 - config.beta1**n),
        1 / (1 - config.beta2**n),
        1 - lrs * config.weight_decay,
        lrs * MUON_LR_RATIO,
        1 - lrs * MUON_LR_RATIO * config.weight_decay,
    )
    kept_from = np.full(len(steps), int(config.dropout * 2**32), np.uint32)
    scale = np.full(len(steps), 1 / (1 - config.dropout), dtype)
    with np.errstate(over="ignore"):  # the first step detects infinite weights
        return Rates._make((*(np.asarray(each, dtype) for each in factors), kept_from, scale))


def read_batch(setup: Setup, data: Data, step: Array, seed: Array) -> PaddedBatch:
    """Return the documents of a step; the dataset is repeated as needed."""
    B, T, n_docs = setup.n_rows, setup.longest, len(data.begins)
    rows = jnp.arange(B)
    n_read = step * setup.batch_size + rows  # number of documents read before each
    docs = n_read % n_docs
    places = jnp.arange(T)
    at = data.begins[docs][:, None] + places  # (B, T); beyond the end, JAX reads the last number
    counted = (places < data.lengths[docs][:, None]) & (rows < setup.batch_size)[:, None]
    if data.mask.size:
        counted &= data.mask[at + 1] == 1
    targets = data.tokens[at + 1]
    if len(data.soft_targets):
        targets = data.soft_targets[data.rows[docs][:, None] + places]
    keys = jnp.zeros((B, T), jnp.uint32)
    if setup.has_dropout:  # as in `Dropout`
        golden = jnp.uint64(GOLDEN_64)
        of_doc = _mixed(seed + golden * (n_read + 1).astype(jnp.uint64), ROUNDS_64)
        keys = _mixed(of_doc[:, None] + golden * (places + 1).astype(jnp.uint64), ROUNDS_64)
        keys = (keys >> jnp.uint64(32)).astype(jnp.uint32)
    batch = PaddedBatch(data.tokens[at], targets, counted.astype(setup.dtype), keys)
    return lax.with_sharding_constraint(batch, setup.rows) if setup.rows else batch


def train_step(setup: Setup, state: State, batch: PaddedBatch, rates: Rates) -> tuple[State, Array]:
    """Return the state after a step, and the loss before it in nats per token.

    If the loss or the square of a gradient is not finite, the state stays as it is, and the loss is
    NaN.
    """
    loss, grads = jax.value_and_grad(batch_loss, argnums=1)(setup, state.weights, batch, rates)
    is_fine = jnp.isfinite(loss)
    for grad in grads:
        is_fine &= jnp.isfinite(grad * grad).all()
    after = updated(setup, state, grads, rates)
    state = jax.tree.map(lambda new, old: jnp.where(is_fine, new, old), after, state)
    return state, jnp.where(is_fine, loss, jnp.nan)


def batch_loss(setup: Setup, weights: StackedWeights, batch: PaddedBatch, rates: Rates) -> Array:
    """Return the mean cross-entropy of the predictions that count, in nats."""
    total = jnp.maximum(batch.counted.sum(), 1)
    return (batch.counted * token_losses(setup, weights, batch, rates)).sum() / total


def token_losses(
    setup: Setup, weights: StackedWeights, batch: PaddedBatch, rates: Rates | None
) -> Array:
    """Return the cross-entropy of each prediction in nats: (B, T)."""
    logits = logits_of(setup, weights, batch, rates).astype(setup.dtype)  # (B, T, V)
    below = logits - lax.stop_gradient(logits.max(-1, keepdims=True))
    log_norm = jnp.log(jnp.exp(below).sum(-1))
    if batch.targets.ndim == 3:
        return log_norm - (batch.targets * below).sum(-1)
    return log_norm - jnp.take_along_axis(below, batch.targets[..., None], -1)[..., 0]


def logits_of(
    setup: Setup, weights: StackedWeights, batch: PaddedBatch, rates: Rates | None
) -> Array:
    """Return the logits after each token; see `Gpt.forward` and `GptVariant`: (B, T, V)."""
    model, T = setup.model, setup.longest
    if setup.bfloat16:
        weights = jax.tree.map(lambda w: w.astype(jnp.bfloat16), weights)
    embeddings = weights.wte[batch.tokens]  # (B, T, C)
    x = embeddings + weights.wpe[:T] if model.positions == "learned" else embeddings
    if model.token_shift:
        x = x + _previous(jnp.roll(embeddings, model.n_embd // 2, -1))
    x = rmsnorm(x)

    def block(x: Array, layer: tuple[Array, ...]) -> tuple[Array, None]:
        i, attn, fc1, fc2 = layer
        x = x + drop(attention(model, rmsnorm(x), attn), 2 * i + 1)
        return x + drop(mlp(model, rmsnorm(x), fc1, fc2), 2 * i + 2), None

    def drop(x: Array, site: Array | int) -> Array:
        return dropped(x, batch.keys, site, rates) if setup.has_dropout and rates else x

    unroll = min(UNROLLED, model.n_layer)
    if count_params(model) >= RECOMPUTED:
        block, unroll = jax.checkpoint(block, prevent_cse=False), 1
    layers = jnp.arange(model.n_layer), weights.attn, weights.mlp_fc1, weights.mlp_fc2
    x, _ = lax.scan(block, drop(x, 0), layers, unroll=unroll)
    return linear(rmsnorm(x) if model.final_norm else x, weights.lm_head)


def attention(model: ModelConfig, x: Array, attn: Array) -> Array:
    """Apply causal multi-head attention: (B, T, C) -> (B, T, C)."""
    B, T, C = x.shape
    q, k, v = (linear(x, attn[i]).reshape(B, T, model.n_head, model.head_dim) for i in range(3))
    q, k = (query_or_key(model, each) for each in (q, k))
    scores = jnp.einsum("bthd,bshd->bhts", q, k) / math.sqrt(model.head_dim)
    scores = jnp.where(jnp.tril(jnp.ones((T, T), bool)), _wide(scores), -jnp.inf)
    attn_weights = jax.nn.softmax(scores, -1).astype(x.dtype)
    return linear(jnp.einsum("bhts,bshd->bthd", attn_weights, v).reshape(B, T, C), attn[3])


def query_or_key(model: ModelConfig, x: Array) -> Array:
    """Normalize and rotate the heads of queries or keys, if selected: (B, T, H, D)."""
    if model.qk_norm:
        x = QK_SCALE * rmsnorm(x)
    if model.positions == "rotary":
        turns = np.outer(np.arange(x.shape[1]), angles(model, 1))[:, None]  # (T, 1, D / 2)
        cosine, sine = jnp.asarray(np.cos(turns), x.dtype), jnp.asarray(np.sin(turns), x.dtype)
        a, b = x[..., ::2], x[..., 1::2]
        x = jnp.stack((a * cosine - b * sine, a * sine + b * cosine), -1).reshape(x.shape)
    return x


def mlp(model: ModelConfig, x: Array, fc1: Array, fc2: Array) -> Array:
    """Apply the two-layer MLP with the selected activation: (B, T, C) -> (B, T, C)."""
    if model.token_shift:
        half = model.n_embd // 2
        x = jnp.concatenate((_previous(x)[..., :half], x[..., half:]), -1)
    hidden = jax.nn.relu(linear(x, fc1))
    return linear(hidden * hidden if model.activation == "relu2" else hidden, fc2)


def dropped(x: Array, keys: Array, site: Array | int, rates: Rates) -> Array:
    """Apply dropout at a site of the model, with the masks of `dropout_mask`: (B, T, C)."""
    C = x.shape[-1]
    units = (site * C + jnp.arange(C)).astype(jnp.uint32)
    draws = _mixed(keys[..., None] + jnp.uint32(GOLDEN_32) * units, ROUNDS_32)
    return x * jnp.where(draws >= rates.kept_from, rates.dropout_scale, 0).astype(x.dtype)


def linear(x: Array, w: Array) -> Array:
    """Return the product of each vector with a matrix: (..., n), (m, n) -> (..., m)."""
    return (x.reshape(-1, x.shape[-1]) @ w.T).reshape(*x.shape[:-1], len(w))


def rmsnorm(x: Array) -> Array:
    """Scale each vector to a root mean square of 1: (..., n) -> (..., n)."""
    wide = _wide(x)
    scale = lax.rsqrt((wide * wide).mean(-1, keepdims=True) + 1e-5)
    return (wide * scale).astype(x.dtype)


def updated(setup: Setup, state: State, grads: StackedWeights, rates: Rates) -> State:
    """Return the state after a step of AdamW, or of Muon for the blocks and AdamW for the rest."""
    names = StackedWeights._fields
    is_muon = {name: setup.optimizer == "muon" and name in names[3:] for name in names}
    parts = zip(names, state.weights, state.m, state.v, grads, strict=True)
    results = [
        (*_muon(w, m, g, rates), v) if is_muon[name] else _adamw(setup, w, m, v, g, rates)
        for name, w, m, v, g in parts
    ]
    weights, m, v = (StackedWeights._make(each) for each in zip(*results, strict=True))
    return State(weights, m, v, state.step + 1)


def _adamw(
    setup: Setup, w: Array, m: Array, v: Array, grad: Array, rates: Rates
) -> tuple[Array, Array, Array]:
    m = setup.beta1 * m + (1 - setup.beta1) * grad
    v = setup.beta2 * v + (1 - setup.beta2) * grad * grad
    change = rates.adam_lr * m / (jnp.sqrt(v * rates.v_scale) + setup.eps)
    return rates.adam_kept * w - change, m, v


def _muon(w: Array, m: Array, grad: Array, rates: Rates) -> tuple[Array, Array]:
    m = MUON_MOMENTUM * m + (1 - MUON_MOMENTUM) * grad
    direction = orthogonalized(MUON_MOMENTUM * m + (1 - MUON_MOMENTUM) * grad)
    scale = rates.muon_lr * math.sqrt(max(1, w.shape[-2] / w.shape[-1]))
    return rates.muon_kept * w - scale * direction, m


def orthogonalized(x: Array) -> Array:
    """Orthogonalize stacked matrices; see `newton_schulz`: (..., m, n) -> (..., m, n)."""
    if x.shape[-2] < x.shape[-1]:
        return orthogonalized(x.mT).mT
    x = x / (jnp.sqrt((x * x).sum((-2, -1), keepdims=True)) + NORM_EPS)
    a, b, c = COEFFICIENTS
    for _ in range(N_ITERATIONS):
        gram = x.mT @ x
        x = x @ (b * gram + c * (gram @ gram) + a * jnp.eye(x.shape[-1], dtype=x.dtype))
    return x


def _previous(x: Array) -> Array:
    """Move each vector to the next position: (B, T, C); the first one becomes 0."""
    return jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]


def _wide(x: Array) -> Array:
    """Return x in at least float32, for sums that bfloat16 would round too much."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _mixed(x: Array, rounds: Any) -> Array:
    """Return a hash of unsigned integers; see `dropout_mask`."""
    for shift, factor in rounds:
        x = (x ^ (x >> x.dtype.type(shift))) * x.dtype.type(factor)
    return x
