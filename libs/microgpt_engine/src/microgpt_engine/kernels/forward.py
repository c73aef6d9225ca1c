"""Forward pass on all tokens of a micro-batch at once; compiled version of `Gpt.forward`.

`evaluate` computes losses and probabilities without gradients.
The layout is "columns": several documents are read side by side, with one column per token. Losses
(in nats) and probabilities have a row per prediction, in document order. See
docs/engine.md#vectors. Shapes: C = n_embd, N = columns, V = vocab_size.
"""

from microgpt_engine.buffers import Buffers, Dataset
from microgpt_engine.compiler import inlined, kernel
from microgpt_engine.kernel_settings import Settings
from microgpt_engine.kernels.attention import attention
from microgpt_engine.kernels.cross_entropy import add_softmax, token_losses
from microgpt_engine.kernels.dropout import add_dropped, drop
from microgpt_engine.kernels.layers import copy, cut_at_starts, embed, relu, rmsnorm
from microgpt_engine.kernels.matmul import linear, multiply, transpose
from microgpt_engine.kernels.rotary import adjust, read_rotation
from microgpt_engine.simd.vector import Array
from microgpt_engine.weight_layout import Weights


def evaluate(
    weights: Weights,
    buffers: Buffers,
    dataset: Dataset,
    losses: Array,  # loss of each predicted token in nats, in document order; 0 if masked
    probabilities: Array,  # (predictions, V), increased by share * softmax(logits); can be empty
    share: float,
    model: Settings,
    first: int,
    n_tokens: int,
) -> int:
    """Evaluate documents from index `first` on; return the index of the next document.

    About n_tokens tokens are read, but at least one micro-batch.
    """
    starts, n_docs, read = dataset.starts, dataset.starts.size - 1, 0
    while read < n_tokens and first < n_docs:
        n_read = read_documents(dataset, first, n_docs - first, buffers)
        N = buffers.doc_starts[n_read]
        forward(weights, buffers, model, n_read, 0.0)
        done = starts[first] - first  # each earlier document has one fewer prediction than tokens
        token_losses(buffers, N, losses[done:])
        if probabilities.shape[0] > 0:
            add_softmax(buffers, N, share, probabilities[done:])
        first += n_read
        read += N
    return first


@inlined
def read_documents(dataset: Dataset, first: int, n_docs: int, buffers: Buffers) -> int:
    """Fill a micro-batch with documents from index `first` on; return the number of documents.

    Document indices wrap around. At least one document always fits.
    """
    tokens, starts, mask, n = dataset.tokens, dataset.starts, dataset.mask, 0
    is_soft = dataset.soft_targets.shape[0] > 0
    for doc in range(n_docs):
        place = (first + doc) % (starts.size - 1)
        start, end = starts[place], starts[place + 1]
        if n + end - start - 1 > buffers.tokens.size:
            return doc
        for i in range(start, end - 1):
            buffers.tokens[n] = tokens[i]
            # Each earlier document has one fewer prediction than tokens.
            buffers.targets[n] = i - place if is_soft else tokens[i + 1]
            buffers.counted[0, n] = mask[i + 1] if mask.size else 1
            buffers.previous[n] = tokens[i - 1] if i > start else -1
            buffers.positions[n] = i - start
            n += 1
        buffers.doc_starts[doc + 1] = n
    return n_docs


@kernel
def forward(weights: Weights, buffers: Buffers, model: Settings, n_docs: int, rate: float) -> None:
    """Set buffers.logits to the logits of each column; `rate` is the dropout probability.

    Dropout is applied at site 0 after the embeddings, and at sites 2 l + 1 and 2 l + 2 after the
    attention and the MLP of layer l.
    """
    w, b = weights, buffers
    x, C, N = b.x, b.x.shape[0], b.doc_starts[n_docs]
    shift = C // 2 if model.modern else 0
    if not model.karpathy:
        read_rotation(model.rotation, b.doc_starts, n_docs, b.rotation)
    embed(w, b, model, b.transposed, N)
    transpose(b.transposed, x, N, C)
    rmsnorm(x, b.embedded, b.embedded_scale, 0, N, 0)
    if rate:
        drop(b.embedded, b.keys, 0, rate, x, N)
    else:
        copy(b.embedded, x, N)
    for layer in range(w.attn_wo.shape[0]):
        qkv, hidden = b.qkv[layer], b.hidden[layer]
        rmsnorm(x, b.attn_norm[layer], b.attn_norm_scale, layer, N, 0)
        linear(w.attn_wqkv[layer], b.attn_norm[layer], qkv, N)
        adjust(qkv[: 2 * C], model, b.rotation, b.qk_scale[layer], N)
        attention(qkv, model, b.doc_starts, n_docs, b.attn_weights[layer], b.attn_out[layer])
        _add_branch(w.attn_wo[layer], b.attn_out[layer], b, 2 * layer + 1, rate, N)
        rmsnorm(x, b.mlp_norm[layer], b.mlp_norm_scale, layer, N, shift)
        if shift > 0:
            cut_at_starts(b.mlp_norm[layer], b.cut[layer], shift, b.doc_starts, n_docs)
        linear(w.mlp_fc1[layer], b.mlp_norm[layer], hidden, N)
        relu(hidden, hidden.shape[0], N, model)
        _add_branch(w.mlp_fc2_t[layer].T, hidden, b, 2 * layer + 2, rate, N)
    if not model.karpathy:
        rmsnorm(x, x, b.final_scale, 0, N, 0)
    linear(w.lm_head, x, b.logits, N)


@inlined
def _add_branch(w: Array, y: Array, b: Buffers, site: int, rate: float, N: int) -> None:
    """Apply dropout to the product w y, and add the result to the residual stream."""
    if rate:
        linear(w, y, b.dbranch, N)
        add_dropped(b.dbranch, b.keys, site, rate, b.x, N)
    else:
        multiply(w, y, b.x, N, True)
