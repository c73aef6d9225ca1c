"""The forward pass on arrays: for `Gpt.forward`, on all tokens of a micro-batch at once.

For the layout see `matmul`, for the names of arrays `weights` and `buffers`.
"""

from microgpt.engine.buffers import Buffers
from microgpt.engine.jit import inlined
from microgpt.engine.kernels.attention import attention
from microgpt.engine.kernels.dropout import drop
from microgpt.engine.kernels.layers import copy, embed, relu, rmsnorm
from microgpt.engine.kernels.matmul import linear, transpose
from microgpt.engine.simd.vector import Array
from microgpt.engine.weights import Weights


@inlined
def read_documents(
    tokens: Array, starts: Array, mask: Array, first: int, n_docs: int, buffers: Buffers
) -> int:
    """Fill the columns of a micro-batch with documents from `first` on; return how many there fit.

    Document i is that of number i modulo the documents there are; there is always room for one.
    For the mask see `Corpus`.
    """
    n = 0
    for doc in range(n_docs):
        start = starts[(first + doc) % (starts.size - 1)]
        end = starts[(first + doc) % (starts.size - 1) + 1]
        if n + end - start - 1 > buffers.tokens.size:
            return doc
        for i in range(start, end - 1):
            buffers.tokens[n] = tokens[i]
            buffers.targets[n] = tokens[i + 1]
            buffers.counted[0, n] = mask[i + 1] if mask.size else 1
            buffers.positions[n] = i - start
            n += 1
        buffers.doc_starts[doc + 1] = n
    return n_docs


@inlined
def forward(
    weights: Weights, buffers: Buffers, n_head: int, n_docs: int, N: int, dropout: float
) -> None:
    """Set the logits of each column: `Gpt.forward`; to drop anything, the columns need keys."""
    w, b = weights, buffers
    x, C = b.x, b.x.shape[0]
    embed(w.wte, w.wpe, b.tokens, b.positions, b.transposed, N)
    transpose(b.transposed, x, N, C)
    rmsnorm(x, b.embedded, b.embedded_scale, 0, N)
    if dropout:
        drop(b.embedded, b.keys, 0, dropout, x, False, N)
    else:
        copy(b.embedded, x, N)
    for layer in range(w.attn_wo.shape[0]):
        rmsnorm(x, b.attn_norm[layer], b.attn_norm_scale, layer, N)
        linear(w.attn_wqkv[layer], b.attn_norm[layer], b.qkv[layer], N, False)
        attention(
            b.qkv[layer], n_head, b.doc_starts, n_docs, b.attn_weights[layer], b.attn_out[layer]
        )
        _add_branch(w.attn_wo[layer], b.attn_out[layer], b, 2 * layer + 1, dropout, N)
        rmsnorm(x, b.mlp_norm[layer], b.mlp_norm_scale, layer, N)
        linear(w.mlp_fc1[layer], b.mlp_norm[layer], b.hidden[layer], N, False)
        relu(b.hidden[layer], b.hidden.shape[1], N)
        _add_branch(w.mlp_fc2_t[layer].T, b.hidden[layer], b, 2 * layer + 2, dropout, N)
    linear(w.lm_head, x, b.logits, N, False)


@inlined
def _add_branch(w: Array, y: Array, buffers: Buffers, site: int, dropout: float, N: int) -> None:
    """Add w y to the residual stream, but for what is dropped."""
    b = buffers
    if dropout:  # two calls with constants: there is machine code for each constant already
        linear(w, y, b.dbranch, N, False)
        drop(b.dbranch, b.keys, site, dropout, b.x, True, N)
    else:
        linear(w, y, b.x, N, True)
