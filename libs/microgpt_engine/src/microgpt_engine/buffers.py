"""Preallocated arrays: activations and gradients of a micro-batch, and the optimizer's state.

Layout: columns; a row is a feature, or a token of the vocabulary, and a column is a token. The
optimizer uses the layout "weights". See docs/engine.md#vectors. Shapes: C = n_embd, D =
head_dim, V = vocab_size, T = block_size, L = n_layer, H = n_head, n = tokens, N = columns, at least
one per token.
"""

import math
from typing import Annotated, NamedTuple

from microgpt import ModelConfig, TrainConfig
from microgpt_engine.processor import lanes_of
from microgpt_engine.weights import Array, Weights, allocated, padded


class Buffers(NamedTuple):
    """Documents, activations, gradients and scratch arrays of a micro-batch.

    The type of each array names its dimensions; see `allocate_buffers` for their sizes.
    """

    # Documents; each token is one column.
    tokens: Annotated[Array, "n"]
    targets: Annotated[Array, "n"]  # token after each input token, or row of `soft_targets`
    counted: Annotated[Array, "1", "N"]  # 1 if the prediction contributes to the loss, else 0
    previous: Annotated[Array, "n"]  # previous token, or -1 for the first of a document
    positions: Annotated[Array, "n"]  # position of each token in its document
    keys: Annotated[Array, "1", "N"]  # int32, key of each column's random mask; see `draw_keys`
    doc_starts: Annotated[Array, "n + 1"]  # first column of each document, then the end of the last

    # Activations that the backward pass needs.
    embedded: Annotated[Array, "C", "N"]  # embeddings after rmsnorm
    embedded_scale: Annotated[Array, "1", "N"]
    attn_norm: Annotated[Array, "L", "C", "N"]
    attn_norm_scale: Annotated[Array, "L", "N"]
    qkv: Annotated[Array, "L", "3 C", "N"]
    qk_scale: Annotated[Array, "L", "2 H or 0", "N"]  # if queries and keys are normalized
    attn_weights: Annotated[Array, "L", "keys", "lanes"]
    attn_out: Annotated[Array, "L", "C", "N"]
    mlp_norm: Annotated[Array, "L", "C", "N"]  # after token shift, if any
    mlp_norm_scale: Annotated[Array, "L", "N"]
    cut: Annotated[Array, "L or 0", "C // 2", "N"]  # for token shift; see `cut_at_starts`
    hidden: Annotated[Array, "L", "hidden", "N"]
    final_scale: Annotated[Array, "1", "N"]

    # Scratch arrays shared by all layers.
    rotation: Annotated[Array, "D or 0", "N"]  # for rotary positions; see `read_rotation`
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
    # Attention writes up to one vector past the last column, token shift one column. An odd number
    # of vectors per row avoids the cache-set conflicts of power-of-two strides.
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
    """Return the maximum total number of keys of all query vectors and heads in a micro-batch.

    A document of n query vectors has lanes · n (n + 1) / 2 keys in total and at least
    lanes · (n - 1) + 1 tokens. The number of keys per token is largest for n = 1 or the largest n.
    """
    lanes = lanes_of(dtype)
    n = padded(longest, dtype) // lanes
    a_token = max(lanes, lanes * n * (n + 1) / 2 / (lanes * (n - 1) + 1))
    return model.n_head * math.ceil(n_tokens * a_token)


class OptimizerState(NamedTuple):
    """Weights, gradients, running means and scratch memory; rows are padded to whole vectors."""

    params: Array
    grads: Array
    m: Array  # running means of the gradients
    v: Array  # running means of the squared gradients; not used by Muon
    directions: Array  # change of each matrix that Muon updates; no rows without Muon


class Workspace(NamedTuple):
    """The arrays used by a training thread."""

    state: OptimizerState  # the gradients cover the documents processed so far in the step
    weights: Weights  # views of the matrices in state.params
    dweights: Weights  # views of the matrices in state.grads
    buffers: Buffers
    scratch: Array  # see `find_directions`
    progress: Array  # (3): completed steps; number and loss of documents read in the next step


def muon_shapes(
    model: ModelConfig, config: TrainConfig, dtype: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the shapes of `OptimizerState.directions` and of the scratch memory of a thread."""
    side = padded(model.n_embd, dtype)
    if config.optimizer != "muon":
        return (0, side), (0, side)
    n_rows = model.n_layer * (4 + 2 * model.n_ff_exp) * model.n_embd
    return (n_rows, side), (2 * side + model.n_ff_exp * model.n_embd, side)
