"""A training step on arrays: for `Gpt.forward` and `ReferenceEngine.step`.

The documents of a batch are worked on a micro-batch at a time, whose activations fit into the
cache; the gradients add up, and the optimizer moves the weights after the last. For the layout see
`matmul`, for the names of arrays `weights` and `buffers`.
"""

import math

import numpy as np

from microgpt.engine.buffers import Buffers
from microgpt.engine.jit import EntryPoint, inlined
from microgpt.engine.kernels.adam import adam, squares_are_finite
from microgpt.engine.kernels.attention import attention_backward
from microgpt.engine.kernels.dropout import draw_keys, drop
from microgpt.engine.kernels.forward import forward, read_documents
from microgpt.engine.kernels.layers import (
    add_and_clear,
    clear,
    embed_backward,
    relu_backward,
    rmsnorm_backward,
)
from microgpt.engine.kernels.loss import cross_entropy
from microgpt.engine.kernels.matmul import add_outer, linear, transpose
from microgpt.engine.settings import StepSettings
from microgpt.engine.simd.vector import Array
from microgpt.engine.weights import Weights


@EntryPoint
def take_steps(
    params: Array,
    grads: Array,
    adam_m: Array,
    adam_v: Array,
    weights: Weights,
    dweights: Weights,
    buffers: Buffers,
    n_head: int,
    tokens: Array,
    starts: Array,
    mask: Array,
    targets_before: Array,
    batch_size: int,
    first_step: int,
    lrs: Array,
    settings: StepSettings,
    update: bool,
    progress: Array,
    losses: Array,
    n_tokens: int,
) -> int:
    """Train until n_tokens more are read, all lrs are used, or a loss is not finite.

    Returns how many were read.

    Args:
        params: all weights, and likewise their gradients and Adam's two means: (rows, columns).
        grads: zeros, or the gradients of the documents of the step that were read before.
        adam_m: see params.
        adam_v: see params.
        weights: the matrices in params.
        dweights: the matrices in grads.
        buffers: to work in.
        n_head: the heads, which share n_embd.
        tokens: all documents in the order of training, one after another.
        starts: where each begins, and the end of the last: (documents + 1).
        mask: see `Corpus`.
        targets_before: how many predictions count before each, and in all: (documents + 1).
        batch_size: documents a step; after the last comes the first again.
        first_step: the step that the first of lrs is for.
        lrs: the learning rate of each step.
        settings: of dropout and optimizer.
        update: whether to move the weights; else it ends with the first step's gradients.
        progress: where it stands, and will: steps taken, documents of the next that were read, and
            the loss of those: (3).
        losses: set to the loss of each step that is taken; nan for one whose loss or gradient is
            not finite, which changes no weight: as long as lrs.
        n_tokens: how much to read before it returns; at least one micro-batch is.
    """
    n_docs, read = starts.size - 1, 0
    while read < n_tokens and progress[0] < first_step + lrs.size:
        step, done = int(progress[0]), int(progress[1])
        first, end = step * batch_size, (step + 1) * batch_size
        total = (end // n_docs - first // n_docs) * targets_before[n_docs]
        total += targets_before[end % n_docs] - targets_before[first % n_docs]
        n_read = read_documents(tokens, starts, mask, first + done, batch_size - done, buffers)
        if settings.dropout:
            b = buffers
            draw_keys(b.keys, b.doc_starts, n_read, settings.seed, first + done)
        progress[1] += n_read
        progress[2] += _forward_backward(
            weights,
            dweights,
            buffers,
            n_head,
            n_read,
            1 / max(total, 1),
            settings.dropout,
            done == 0,
        )
        read += buffers.doc_starts[n_read]
        if progress[1] == batch_size:
            i = step - first_step
            losses[i] = progress[2]
            if not (math.isfinite(progress[2]) and squares_are_finite(grads)):
                losses[i] = np.nan
                break
            if not update:
                break
            adam(params, grads, adam_m, adam_v, step + 1, lrs[i], settings)
            clear(grads, grads.shape[1])
            progress[0], progress[1], progress[2] = step + 1, 0, 0
    return read


@inlined
def _forward_backward(
    weights: Weights,
    dweights: Weights,
    buffers: Buffers,
    n_head: int,
    n_docs: int,
    weight: float,
    dropout: float,
    is_first: bool,
) -> float:
    """Return the loss of a micro-batch, `weight` a token, and add its gradients to dweights.

    Each gradient is summed over the micro-batch before it is added, so that micro-batches can as
    well be worked on apart from one another. The first of a step has nothing to be added to.
    """
    N = buffers.doc_starts[n_docs]
    forward(weights, buffers, n_head, n_docs, N, dropout)
    loss = cross_entropy(
        buffers.logits, buffers.targets, buffers.counted, buffers.logit_norms, N, weight
    )
    _backward(weights, dweights, buffers, n_head, n_docs, N, dropout)
    b, dw = buffers, dweights
    if is_first:
        embed_backward(b.transposed, b.tokens, b.positions, dw.wte, dw.wpe, N)
    else:
        embed_backward(b.transposed, b.tokens, b.positions, b.dwte, b.dwpe, N)
        add_and_clear(b.dwte, dw.wte)
        add_and_clear(b.dwpe, dw.wpe)
    return loss


@inlined
def _backward(
    weights: Weights,
    dweights: Weights,
    buffers: Buffers,
    n_head: int,
    n_docs: int,
    N: int,
    dropout: float,
) -> None:
    """Add the gradient of each matrix, from that of the logits down: `Value.backward`.

    That of the embedded tokens is left in buffers.transposed.
    """
    w, dw, b = weights, dweights, buffers
    dx, x_t, C = b.dx, b.transposed, b.dx.shape[0]
    transpose(b.x, x_t, C, N)
    add_outer(b.logits, x_t, dw.lm_head, N)
    linear(w.lm_head.T, b.logits, dx, N, False)
    for layer in range(w.attn_wo.shape[0] - 1, -1, -1):
        dbranch = dx
        if dropout:
            dbranch = b.dbranch
            drop(dx, b.keys, 2 * layer + 2, dropout, dbranch, False, N)
        transpose(dbranch, x_t, C, N)
        add_outer(b.hidden[layer], x_t, dw.mlp_fc2_t[layer], N)
        linear(w.mlp_fc2_t[layer], dbranch, b.dhidden, N, False)
        relu_backward(b.dhidden, b.hidden[layer], N)
        transpose(b.mlp_norm[layer], x_t, C, N)
        add_outer(b.dhidden, x_t, dw.mlp_fc1[layer], N)
        linear(w.mlp_fc1[layer].T, b.dhidden, b.dbranch, N, False)
        rmsnorm_backward(b.dbranch, b.mlp_norm[layer], b.mlp_norm_scale, layer, dx, N)

        dbranch = dx
        if dropout:
            dbranch = b.dhidden[:C]
            drop(dx, b.keys, 2 * layer + 1, dropout, dbranch, False, N)
        transpose(b.attn_out[layer], x_t, C, N)
        add_outer(dbranch, x_t, dw.attn_wo[layer], N)
        linear(w.attn_wo[layer].T, dbranch, b.dbranch, N, False)
        attention_backward(
            b.dbranch,
            b.qkv[layer],
            n_head,
            b.doc_starts,
            n_docs,
            b.attn_weights[layer],
            b.attn_out[layer],
            b.dscores,
            b.tile,
            b.dqkv,
        )
        transpose(b.attn_norm[layer], x_t, C, N)
        add_outer(b.dqkv, x_t, dw.attn_wqkv[layer], N)
        linear(w.attn_wqkv[layer].T, b.dqkv, b.dbranch, N, False)
        rmsnorm_backward(b.dbranch, b.attn_norm[layer], b.attn_norm_scale, layer, dx, N)
    if dropout:
        drop(dx, b.keys, 0, dropout, dx, False, N)
    clear(b.dbranch, N)
    rmsnorm_backward(dx, b.embedded, b.embedded_scale, 0, b.dbranch, N)
    transpose(b.dbranch, x_t, C, N)
