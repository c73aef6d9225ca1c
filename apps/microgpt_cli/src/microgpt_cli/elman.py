"""Train an Elman network (Elman 1990) with NumPy; examples/elman.py is its scalar counterpart.

The documents of a batch are padded to the same length. "Memory" means the hidden state.
Shapes: B = documents, T = positions, N = predictions, H = size of the memory, V = vocab_size.
"""

import math

import numpy as np
from numpy.typing import NDArray

from microgpt import ChunkedDataset, TokenDataset
from microgpt_cli.baselines import targets_of

Floats = NDArray[np.float32]
Matrices = dict[str, Floats]

# Settings for a budget of OPERATIONS, and the exponents with which they scale with the budget,
# fitted on names.txt. With a small budget, a small network with many steps is better.
OPERATIONS = 5.6e10
WIDTH, WIDTH_POWER = 90, 0.25
TOKENS, TOKENS_POWER = 260, 0.4  # number of tokens per step, and the exponent of its scaling
LR, LR_POWER = 0.01, -0.1
BETA1, BETA2, EPS = 0.9, 0.99, 1e-8
MAX_NORM = 1.0  # gradients are clipped to this norm, as they can explode in a recurrent network
RADIUS = 0.9  # scale of the initial memory matrix; it is orthogonal, so gradients vanish slowly
WARMUP = 30  # the learning rate rises during the first 1/30 of the steps


class ElmanNetwork:
    """An Elman network and its Adam optimizer (Kingma & Ba 2015), in float32."""

    def __init__(self, n_hidden: int, vocab_size: int, rng: np.random.Generator) -> None:
        """Draw the weights: an orthogonal memory matrix, and Gaussian input and output matrices."""
        V, H = vocab_size, n_hidden
        drawn = {
            "input": rng.normal(0, 0.1, (V, H)),
            "memory": RADIUS * np.linalg.qr(rng.normal(0, 1, (H, H)))[0],
            "bias": np.zeros((1, H)),
            "output": rng.normal(0, 0.02, (V, H)),
        }
        self.weights: Matrices = {name: each.astype(np.float32) for name, each in drawn.items()}
        self.moments = {n: np.zeros((2, *w.shape), np.float32) for n, w in self.weights.items()}
        self.n_steps = 0

    def probabilities(self, docs: TokenDataset) -> Floats:
        """Return the probabilities of all predictions in documents, of shape (N, V)."""
        return self._read(docs)[3]

    def _read(
        self, docs: TokenDataset
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], Floats, Floats]:
        """Return tokens, a mask (False for padding), the hidden states, and the probabilities."""
        lengths = np.diff(docs.starts) - 1
        T = int(lengths.max())
        is_real = np.arange(T) < lengths[:, None]  # (B, T)
        tokens = np.zeros((len(docs), T), np.int64)  # (B, T)
        last = np.array(docs.starts[1:]) - 1  # a document's last token is only a target
        tokens[is_real] = np.delete(np.frombuffer(docs.tokens, np.int64), last)
        added, kept = self.weights["input"] + self.weights["bias"], self.weights["memory"].T
        memories = np.zeros((len(docs), T + 1, len(kept)), np.float32)  # (B, T + 1, H)
        for t in range(T):
            memories[:, t + 1] = np.tanh(memories[:, t] @ kept + added[tokens[:, t]])
        logits = memories[:, 1:][is_real] @ self.weights["output"].T  # (N, V)
        exps = np.exp(logits - logits.max(1, keepdims=True))
        return tokens, is_real, memories, exps / exps.sum(1, keepdims=True)

    def gradients(self, docs: TokenDataset) -> Matrices:
        """Return the gradients of the mean loss over all unmasked predictions."""
        tokens, is_real, memories, dlogits = self._read(docs)
        targets, counts = targets_of(docs)
        dlogits[np.arange(len(dlogits)), targets] -= 1
        dlogits *= counts[:, None] / np.float32(max(1, counts.sum()))
        dsums = np.zeros_like(memories[:, 1:])  # gradients with respect to tanh's inputs: (B, T, H)
        dsums[is_real] = dlogits @ self.weights["output"]
        later = np.zeros_like(dsums[:, 0])  # gradient from the next position: (B, H)
        for t in reversed(range(tokens.shape[1])):
            dsums[:, t] = (dsums[:, t] + later) * (1 - memories[:, t + 1] ** 2)
            later = dsums[:, t] @ self.weights["memory"]
        flat = dsums[is_real]  # (N, H)
        dinput = np.zeros_like(self.weights["input"])
        np.add.at(dinput, tokens[is_real], flat)
        return {
            "input": dinput,
            "memory": flat.T @ memories[:, :-1][is_real],
            "bias": flat.sum(0, keepdims=True),
            "output": dlogits.T @ memories[:, 1:][is_real],
        }

    def update(self, gradients: Matrices, lr: float) -> None:
        """Update the weights with one Adam step."""
        self.n_steps += 1
        norm = math.sqrt(sum(float((each**2).sum()) for each in gradients.values()))
        scale = min(1.0, MAX_NORM / max(norm, EPS))
        m_bias, v_bias = 1 - BETA1**self.n_steps, 1 - BETA2**self.n_steps
        for name, gradient in gradients.items():
            (m, v), g = self.moments[name], scale * gradient
            m += (1 - BETA1) * (g - m)
            v += (1 - BETA2) * (g * g - v)
            self.weights[name] -= lr * (m / m_bias) / (np.sqrt(v / v_bias) + EPS)


def train_elman(chunks: ChunkedDataset, operations: float, seed: int) -> ElmanNetwork:
    """Train a network with a budget of operations, which determines its size and settings."""
    rng, relative = np.random.default_rng(seed), operations / OPERATIONS
    V = chunks.tokenizer.vocab_size
    n_hidden = max(8, round(WIDTH * relative**WIDTH_POWER))
    length = max(1.0, chunks.n_tokens / len(chunks))
    batch_size = min(len(chunks), max(1, round(TOKENS * relative**TOKENS_POWER / length)))
    per_token = 6 * (n_hidden**2 + V * n_hidden)  # per weight: 2 operations forward, 4 backward
    steps = max(1, round(operations / (per_token * batch_size * length)))
    order = rng.permutation(len(chunks))[: steps * batch_size]
    docs, model = chunks.encode(order.tolist()), ElmanNetwork(n_hidden, V, rng)
    for step in range(steps):
        first = step * batch_size % (len(docs) - batch_size + 1)
        rate = LR * relative**LR_POWER * min(1, WARMUP * (step + 1) / steps) * (1 - step / steps)
        model.update(model.gradients(docs[first : first + batch_size]), rate)
    return model
