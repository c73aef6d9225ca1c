"""Training step on arrays; compiled version of `Gpt.forward` and `ReferenceEngine.step`.

A batch is processed in micro-batches whose activations fit into the processor's cache. Their
gradients are summed, and the optimizer updates the weights after the last micro-batch.
Only `threaded_trainer` calls `update` and `publish_and_clear`.
Activations have a row per feature and a column per token; gradients of matrices are laid out like
the weights. See docs/engine.md#vectors and #a-step. Shapes: C = n_embd, N = columns.
"""

import math

import numpy as np

from microgpt_engine.buffers import Buffers, Dataset, OptimizerState, Workspace
from microgpt_engine.compiler import inlined
from microgpt_engine.kernel_settings import Settings
from microgpt_engine.kernels.attention import attention_backward
from microgpt_engine.kernels.cross_entropy import cross_entropy
from microgpt_engine.kernels.dropout import draw_keys, drop
from microgpt_engine.kernels.forward import forward, read_documents
from microgpt_engine.kernels.layers import (
    add_and_clear,
    clear,
    embed_backward,
    publish,
    relu_backward,
    restore_at_starts,
    rmsnorm_backward,
    rmsnorm_backward_in_place,
)
from microgpt_engine.kernels.matmul import add_outer, linear, transpose
from microgpt_engine.kernels.optimizer import find_directions, optimize, squares_are_finite
from microgpt_engine.kernels.rotary import adjust_backward
from microgpt_engine.simd.vector import Array
from microgpt_engine.weight_layout import Weights


def take_steps(
    workspace: Workspace,
    dataset: Dataset,  # documents in training order, repeated as needed
    model: Settings,
    config: Settings,
    lrs: Array,  # learning rate of each step
    losses: Array,  # output: loss of each step taken; same length as lrs
    update: bool,  # if False, stop after computing the gradients of the first step
    n_tokens: int,  # stop after the micro-batch that reaches this number of tokens
) -> int:
    """Train until n_tokens tokens are processed, all lrs are used, or a step fails.

    Return the number of tokens processed, at least those of one micro-batch. A step fails if the
    loss or the square of a gradient is not finite. It then has a loss of NaN and leaves the weights
    as they are.
    """
    state, buffers, progress = workspace.state, workspace.buffers, workspace.progress
    # progress: number of completed steps; documents processed in the current step; their loss
    batch_size, n_docs, first_step = config.batch_size, dataset.starts.size - 1, int(progress[0])
    targets_before, tokens_read = dataset.targets_before, 0
    while tokens_read < n_tokens and progress[0] < first_step + lrs.size:
        step, done = int(progress[0]), int(progress[1])
        first, end = step * batch_size, (step + 1) * batch_size
        # total: number of unmasked predictions in the documents of this step, first to end - 1
        total = (end // n_docs - first // n_docs) * targets_before[n_docs]
        total += targets_before[end % n_docs] - targets_before[first % n_docs]
        n_read = read_documents(dataset, first + done, batch_size - done, buffers)
        rate = draw_keys(buffers, n_read, config, first + done)
        progress[1] += n_read
        weight, is_first = 1 / max(total, 1), done == 0
        progress[2] += _forward_backward(
            workspace, dataset.soft_targets, model, rate, n_read, weight, is_first
        )
        tokens_read += buffers.doc_starts[n_read]
        if progress[1] == batch_size:
            i = step - first_step
            losses[i] = progress[2]
            if not (math.isfinite(progress[2]) and squares_are_finite(state.grads)):
                losses[i] = np.nan
                break
            if not update:
                break
            find_directions(state, model, 0, 1, workspace.scratch)
            optimize(state, lrs[i], model, config, progress)
    return tokens_read


@inlined
def _forward_backward(
    workspace: Workspace,
    soft_targets: Array,  # see `Dataset`
    model: Settings,
    rate: float,  # dropout probability
    n_docs: int,
    weight: float,  # weight of one token in the loss
    is_first: bool,  # whether this is the first micro-batch of a step
) -> float:
    """Return the loss of a micro-batch and add the gradients to workspace.dweights.

    Each gradient is summed over the micro-batch before it is added. Threads can therefore process
    micro-batches independently and obtain the same result.
    """
    b, dw = workspace.buffers, workspace.dweights
    N = b.doc_starts[n_docs]
    forward(workspace.weights, b, model, n_docs, rate)
    loss = cross_entropy(b, soft_targets, N, weight)
    _backward(workspace.weights, dw, b, model, n_docs, N, rate)
    dwte, dwpe = (dw.wte, dw.wpe) if is_first else (b.dwte, b.dwpe)
    embed_backward(b, model, dwte, dwpe, N)
    if not is_first:  # the gradients of the micro-batch were summed in b.dwte and b.dwpe
        add_and_clear(b.dwte, dw.wte)
        add_and_clear(b.dwpe, dw.wpe)
    return loss


@inlined
def _backward(
    w: Weights, dw: Weights, b: Buffers, model: Settings, n_docs: int, N: int, rate: float
) -> None:
    """Backpropagate from the gradient in b.logits; add the gradients of matrices to dw.

    The gradient of the embeddings, before their RMSNorm, is written to b.transposed (N, C).
    """
    dx, x_t, C = b.dx, b.transposed, b.dx.shape[0]
    shift = C // 2 if model.modern else 0
    add_outer(b.logits, b.x, x_t, dw.lm_head, N)
    linear(w.lm_head.T, b.logits, dx, N)
    if not model.karpathy:
        rmsnorm_backward_in_place(dx, b.x, b.final_scale, 0, N)
    for layer in range(w.attn_wo.shape[0] - 1, -1, -1):
        dbranch = dx
        if rate:
            dbranch = b.dbranch
            drop(dx, b.keys, 2 * layer + 2, rate, dbranch, N)
        add_outer(b.hidden[layer], dbranch, x_t, dw.mlp_fc2_t[layer], N)
        linear(w.mlp_fc2_t[layer], dbranch, b.dhidden, N)
        relu_backward(b.dhidden, b.hidden[layer], model, N)
        add_outer(b.dhidden, b.mlp_norm[layer], x_t, dw.mlp_fc1[layer], N)
        linear(w.mlp_fc1[layer].T, b.dhidden, b.dbranch, N)
        if shift > 0:  # token shift; see `GptVariant`
            restore_at_starts(
                b.mlp_norm[layer], b.dbranch, b.cut[layer], shift, b.doc_starts, n_docs
            )
        rmsnorm_backward(b.dbranch, b.mlp_norm[layer], b.mlp_norm_scale, layer, dx, N, shift)

        dbranch = dx
        if rate:
            dbranch = b.dhidden[:C]  # b.dbranch is overwritten while dbranch is still needed
            drop(dx, b.keys, 2 * layer + 1, rate, dbranch, N)
        add_outer(dbranch, b.attn_out[layer], x_t, dw.attn_wo[layer], N)
        linear(w.attn_wo[layer].T, dbranch, b.dbranch, N)
        attention_backward(
            b.dbranch, b.qkv[layer], model, b.doc_starts, n_docs,
            b.attn_weights[layer], b.attn_out[layer], b.dscores, b.tile, b.dqkv,
        )  # fmt: skip
        adjust_backward(
            b.dqkv[: 2 * C], b.qkv[layer, : 2 * C], model, b.rotation, b.qk_scale[layer], N
        )
        add_outer(b.dqkv, b.attn_norm[layer], x_t, dw.attn_wqkv[layer], N)
        linear(w.attn_wqkv[layer].T, b.dqkv, b.dbranch, N)
        rmsnorm_backward(b.dbranch, b.attn_norm[layer], b.attn_norm_scale, layer, dx, N, 0)
    if rate:
        drop(dx, b.keys, 0, rate, dx, N)
    rmsnorm_backward_in_place(dx, b.embedded, b.embedded_scale, 0, N)
    transpose(dx, x_t, C, N)


def update(
    state: OptimizerState,
    lr: float,
    model: Settings,
    config: Settings,
    published: Array,
    progress: Array,
) -> bool:
    """Update the weights and copy them for other threads; return False if a gradient is not finite.

    `find_directions` must have computed the directions of all matrices for this step.
    """
    if not squares_are_finite(state.grads):
        return False
    optimize(state, lr, model, config, progress)
    publish(state.params, published)
    return True


def publish_and_clear(grads: Array, published: Array) -> None:
    """Copy the calling thread's gradients to `published` for another thread, then zero them."""
    publish(grads, published)
    clear(grads, grads.shape[1])
