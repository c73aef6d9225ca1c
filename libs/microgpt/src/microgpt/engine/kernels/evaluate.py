"""Evaluate a model on documents without computing gradients.

Layout: columns in the buffers; losses, in nats, and probabilities have a row per prediction, in
document order. See docs/performance.md#vectors.
"""

from microgpt.engine.architecture import Architecture
from microgpt.engine.buffers import Buffers
from microgpt.engine.dataset import Dataset
from microgpt.engine.kernels.cross_entropy import add_softmax, token_losses
from microgpt.engine.kernels.forward import forward, read_documents
from microgpt.engine.simd.vector import Array
from microgpt.engine.weights import Weights


def evaluate(
    weights: Weights,
    buffers: Buffers,
    dataset: Dataset,
    losses: Array,  # loss of each predicted token in nats, in document order; 0 if masked
    probabilities: Array,  # (predictions, V), increased by share * softmax(logits); may be empty
    share: float,
    architecture: Architecture,
    first: int,
    n_tokens: int,
) -> int:
    """Predict documents from index `first` on; return the index of the next document.

    About n_tokens tokens are read, but at least one micro-batch.
    """
    starts, n_docs, read = dataset.starts, dataset.starts.size - 1, 0
    while read < n_tokens and first < n_docs:
        n_read = read_documents(dataset, first, n_docs - first, buffers)
        N = buffers.doc_starts[n_read]
        forward(weights, buffers, architecture, n_read, N, 0.0)
        done = starts[first] - first  # the first token of a document is not predicted
        b = buffers
        token_losses(b.logits, b.targets, b.counted, b.logit_norms, N, losses[done:])
        if probabilities.shape[0] > 0:
            add_softmax(b.logits, b.logit_norms, N, share, probabilities[done:])
        first += n_read
        read += N
    return first
