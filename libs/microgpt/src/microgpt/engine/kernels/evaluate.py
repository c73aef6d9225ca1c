"""The losses of a model on documents, without gradients.

For the layout see `matmul`, for the names of arrays `weights` and `buffers`.
"""

from microgpt.engine.buffers import Buffers
from microgpt.engine.jit import EntryPoint
from microgpt.engine.kernels.forward import forward, read_documents
from microgpt.engine.kernels.loss import token_losses
from microgpt.engine.simd.vector import Array
from microgpt.engine.weights import Weights


@EntryPoint
def evaluate(
    losses: Array,
    weights: Weights,
    buffers: Buffers,
    n_head: int,
    tokens: Array,
    starts: Array,
    mask: Array,
    first: int,
    n_tokens: int,
) -> int:
    """Set the losses of documents from `first` on; return the number of the next document.

    Args:
        losses: of each predicted token, document by document, in nats; 0 where it does not count.
        weights: the model.
        buffers: to work in.
        n_head: the heads, which share n_embd.
        tokens: all documents, one after another.
        starts: where each begins, and the end of the last: (documents + 1).
        mask: see `Corpus`.
        first: the first document.
        n_tokens: how much to read before it returns; at least one micro-batch is.
    """
    n_docs, read = starts.size - 1, 0
    while read < n_tokens and first < n_docs:
        n_read = read_documents(tokens, starts, mask, first, n_docs - first, buffers)
        N = buffers.doc_starts[n_read]
        forward(weights, buffers, n_head, n_read, N, 0.0)
        done = starts[first] - first  # a document predicts one token less than it has
        b = buffers
        token_losses(b.logits, b.targets, b.counted, b.logit_norms, N, losses[done:])
        first += n_read
        read += N
    return first
