"""Arrays of the kernels besides the weights: documents, activations, gradients, caches and states.

Documents are in flat int64 arrays, one after another. Training and evaluation use the layout
"columns": a row is a feature, or a token of the vocabulary, and a column is a token. Decoding uses
"rows"; in the KV cache, the keys of a group of tokens have one row per feature and one lane per
token, and values have one row per token. The optimizer uses "weights". See docs/engine.md#vectors
and #decoding. Shapes: C = n_embd, D = head_dim, V = vocab_size, T = block_size, L = n_layer,
H = n_head, n = tokens or sequences, N = columns or rows, at least one per token.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microgpt import ModelConfig, TokenDataset, Tokens, TrainConfig
from microgpt_engine.simd import lanes_of
from microgpt_engine.weight_layout import Array, Weights, aligned_zeros, allocated, padded

NO_ROWS = np.empty((0, 0), np.float32)
# Status of a sequence. STOPPED: a stop token was sampled. FULL: the maximum length is reached.
# BROKEN: a logit is not finite. STUCK: all tokens are forbidden.
RUNNING, STOPPED, FULL, BROKEN, STUCK = range(5)
FREE, STOP, FORBIDDEN, NO_RULE = range(4)  # rules of tokens; `sample` excludes those >= `barred`


class Dataset(NamedTuple):
    """The contents of a `TokenDataset` as NumPy arrays. V = vocab_size."""

    tokens: NDArray[Any]  # tokens of all documents, concatenated
    starts: NDArray[Any]  # (documents + 1), start of each document, and total number of tokens
    mask: NDArray[Any]  # see `TokenDataset.mask`
    targets_before: NDArray[Any]  # (documents + 1), cumulative number of unmasked predictions
    soft_targets: NDArray[Any]  # float32 target distributions (predictions, V), or no rows

    @classmethod
    def from_documents(cls, docs: Sequence[Tokens]) -> "Dataset":
        """Return a dataset of the concatenated documents."""
        dataset = TokenDataset.from_documents(docs)
        tokens, starts = (np.frombuffer(x, np.int64) for x in (dataset.tokens, dataset.starts))
        mask = np.frombuffer(dataset.mask, np.int8)
        n_targets = np.diff(starts) - 1  # every token of a document except the first is a target
        if mask.size:
            n_before = np.concatenate(([0], np.cumsum(mask, dtype=np.int64)))
            n_targets = n_before[starts[1:]] - n_before[starts[:-1] + 1]
        targets_before = np.concatenate(([0], np.cumsum(n_targets)))
        soft = dataset.soft_targets
        return cls(tokens, starts, mask, targets_before, NO_ROWS if soft is None else soft)

    @property
    def longest(self) -> int:
        """The largest number of predicted tokens in a document."""
        return int(np.diff(self.starts).max()) - 1


class Buffers(NamedTuple):
    """Documents, activations, gradients and scratch arrays of a micro-batch.

    The type of each array names its dimensions; see `allocate_buffers` for their sizes.
    """

    # Documents; each token is one column.
    tokens: Annotated[Array, "n"]
    targets: Annotated[Array, "n"]  # next token, or the index of its row in `soft_targets`
    counted: Annotated[Array, "1", "N"]  # 1 if the prediction contributes to the loss, else 0
    previous: Annotated[Array, "n"]  # previous token, or -1 for a document's first token
    positions: Annotated[Array, "n"]  # position of each token in its document
    keys: Annotated[Array, "1", "N"]  # int32, key of each column's dropout mask; see `draw_keys`
    doc_starts: Annotated[Array, "n + 1"]  # first column of each document, then number of columns

    # Activations that the backward pass needs.
    embedded: Annotated[Array, "C", "N"]  # embeddings after rmsnorm
    embedded_scale: Annotated[Array, "1", "N"]
    attn_norm: Annotated[Array, "L", "C", "N"]
    attn_norm_scale: Annotated[Array, "L", "N"]
    qkv: Annotated[Array, "L", "3 C", "N"]
    qk_scale: Annotated[Array, "L", "2 H or 0", "N"]  # scale that `rmsnorm` used, per head
    attn_weights: Annotated[Array, "L", "keys", "lanes"]
    attn_out: Annotated[Array, "L", "C", "N"]
    mlp_norm: Annotated[Array, "L", "C", "N"]  # input of the MLP, after any token shift
    mlp_norm_scale: Annotated[Array, "L", "N"]
    cut: Annotated[Array, "L or 0", "C // 2", "N"]  # saved by `cut_at_starts` for the backward pass
    hidden: Annotated[Array, "L", "hidden", "N"]
    final_scale: Annotated[Array, "1", "N"]

    # Scratch arrays shared by all layers.
    rotation: Annotated[Array, "D or 0", "N"]  # cosines and sines; see `read_rotation`
    x: Annotated[Array, "C", "N"]  # residual stream
    logits: Annotated[Array, "V", "N"]  # logits, later replaced by their gradient
    logit_norms: Annotated[Array, "2", "N"]
    dx: Annotated[Array, "C", "N"]
    dbranch: Annotated[Array, "C", "N"]  # gradient with respect to the input of a block
    dqkv: Annotated[Array, "3 C", "N"]
    dhidden: Annotated[Array, "hidden", "N"]
    dscores: Annotated[Array, "longest", "lanes"]
    tile: Annotated[Array, "lanes", "lanes"]
    transposed: Annotated[Array, "N", "padded C"]  # a transposed activation
    dwte: Annotated[Array, "V", "padded C"]  # gradient of wte; zero between micro-batches
    dwpe: Annotated[Array, "T or 0", "padded C"]  # gradient of wpe; zero between micro-batches


def allocate_buffers(model: ModelConfig, dtype: str, n_tokens: int, longest: int) -> Buffers:
    """Return zero-filled buffers for n_tokens tokens in documents of up to `longest` tokens."""
    C, L, lanes = model.n_embd, model.n_layer, lanes_of(dtype)
    # Attention writes up to one vector past the last column, and token shift one column. An odd
    # number of vectors per row avoids the cache-set conflicts of power-of-two strides.
    N = (padded(n_tokens + lanes, dtype) // lanes | 1) * lanes
    sizes = {
        "1": 1, "2": 2, "n": n_tokens, "n + 1": n_tokens + 1, "N": N, "lanes": lanes,
        "V": model.vocab_size, "T or 0": model.n_positions,
        "C": C, "3 C": 3 * C, "C // 2": C // 2, "padded C": padded(C, dtype),
        "hidden": model.n_ff_exp * C, "L": L, "L or 0": L * (model.architecture == "modern"),
        "D or 0": 0 if model.is_karpathys else model.head_dim,
        "2 H or 0": 0 if model.is_karpathys else 2 * model.n_head,
        "keys": _n_keys(model, dtype, n_tokens, longest), "longest": padded(longest, dtype),
    }  # fmt: skip
    return allocated(Buffers, sizes, dtype)


def _n_keys(model: ModelConfig, dtype: str, n_tokens: int, longest: int) -> int:
    """Return the maximum total number of keys of all vectors of queries in a micro-batch.

    Per head, a document of n vectors has lanes · n (n + 1) / 2 keys in total and at least
    lanes · (n - 1) + 1 tokens. The number of keys per token is largest for n = 1 or the largest n.
    """
    lanes = lanes_of(dtype)
    n = padded(longest, dtype) // lanes
    a_token = max(lanes, lanes * n * (n + 1) / 2 / (lanes * (n - 1) + 1))
    return model.n_head * math.ceil(n_tokens * a_token)


class OptimizerState(NamedTuple):
    """Weights, gradients, running means and update directions; rows are padded to whole vectors."""

    params: Array
    grads: Array
    m: Array  # running means of the gradients
    v: Array  # running means of the squared gradients; not used by Muon
    directions: Array  # orthogonalized momentum of the matrices; no rows unless Muon is used


class Workspace(NamedTuple):
    """The arrays that a training thread needs to process a micro-batch."""

    state: OptimizerState  # the gradients cover the documents processed so far in the step
    weights: Weights  # views of the matrices in state.params
    dweights: Weights  # views of the matrices in state.grads
    buffers: Buffers
    scratch: Array  # see `find_directions`
    progress: Array  # (3): completed steps; documents processed in this step; their loss


def muon_shapes(
    model: ModelConfig, config: TrainConfig, dtype: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the shapes of `OptimizerState.directions` and of the scratch memory of a thread."""
    side = padded(model.n_embd, dtype)
    if config.optimizer != "muon":
        return (0, side), (0, side)
    n_rows = model.n_layer * (4 + 2 * model.n_ff_exp) * model.n_embd
    return (n_rows, side), (2 * side + model.n_ff_exp * model.n_embd, side)


class KVCache(NamedTuple):
    """KV cache with a slot per sequence; L is the number of layers, and T is the block size."""

    keys: Array  # (slots, L, n_head * token groups * D, lanes)
    values: Array  # (slots, L, vectors per token * T, lanes)
    mlp_in: Array  # (slots, L, C // 2), half of the last token's MLP input, for token shift


def allocate_cache(model: ModelConfig, dtype: str, n_slots: int) -> KVCache:
    """Return a zero-filled cache for n_slots concurrent sequences."""
    L, T, C, n = model.n_layer, model.block_size, model.n_embd, lanes_of(dtype)
    n_blocks = padded(T, dtype) // n
    return KVCache(
        keys=aligned_zeros((n_slots, L, n_blocks * C, n), dtype),
        values=aligned_zeros((n_slots, L, padded(C, dtype) // n * T, n), dtype),
        mlp_in=aligned_zeros((n_slots, L, C // 2), dtype),
    )


class Sequences(NamedTuple):
    """The state of all sequences of a decoder, indexed by sequence number."""

    tokens: Array  # (n, maximum length), prompt, new tokens and stop token, if any
    n_prompt: Array  # (n), number of prompt tokens
    n_tokens: Array  # (n), current number of tokens, without a stop token
    first: Array  # (n), start of the context; advances when the context is full
    n_read: Array  # (n), index of the next token to read into the cache
    goals: Array  # (n), number of tokens at which a sequence is FULL
    status: Array  # (n), one of RUNNING, STOPPED, FULL, BROKEN and STUCK
    uniforms: Array  # (n, maximum number of new tokens), random numbers in [0, 1)
    slots: Array  # (slots), sequence in each slot of the cache; -1 if the slot is empty
    n_started: Array  # (1), number of sequences started so far
    rules: Array  # (V), sampling rule of each token; see `sample`
    barred: int  # `barred` argument of `sample` after the first min_tokens new tokens
    min_tokens: int  # minimum number of new tokens before a stop token
    temperature: float  # see `config.Sampling`
    top_k: int  # 0 disables top-k filtering
    top_p: float
    min_p: float


class Rows(NamedTuple):
    """Activations of the tokens in a decoding step; rows are padded to whole vectors.

    The type of each array names its dimensions; see `allocate_rows` for their sizes.
    """

    tokens: Annotated[Array, "N"]
    previous: Annotated[Array, "N"]  # previous token in the context, or -1
    positions: Annotated[Array, "N"]  # position of each token in its context
    slots: Annotated[Array, "N"]  # cache slot of each token
    sequences: Annotated[Array, "N"]  # sequences for which a token is sampled in this step
    x: Annotated[Array, "N", "C"]  # residual stream
    normed: Annotated[Array, "N", "C"]
    qkv: Annotated[Array, "N", "3 C"]
    attn_weights: Annotated[Array, "H", "T"]
    attn_out: Annotated[Array, "N", "C"]
    hidden: Annotated[Array, "N", "hidden"]
    logits: Annotated[Array, "N", "V"]
    order: Annotated[Array, "V"]
    sums: Annotated[Array, "1", "V"]


def allocate_rows(model: ModelConfig, dtype: str, N: int) -> Rows:
    """Return arrays for up to N tokens per decoding step."""
    C = model.n_embd
    sizes = {
        "1": 1, "N": N, "C": C, "3 C": 3 * C, "hidden": model.n_ff_exp * C,
        "H": model.n_head, "T": model.block_size, "V": model.vocab_size,
    }  # fmt: skip
    return allocated(Rows, sizes, dtype, qkv=padded(C, dtype))  # for vector reads beyond 3 C


class DecodeArrays(NamedTuple):
    """Reusable arrays of a decoder; allocating them takes longer than decoding a short reply."""

    cache: KVCache
    rows: Rows
