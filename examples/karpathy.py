"""Karpathy's microgpt on one page: autograd, documents, tokenizer, model, training and samples.

The whole algorithm needs only the standard library and data/names.txt. It gives the twenty names of
Karpathy's script and its losses, to 2e-15, in about half a minute on an AMD EPYC (Zen 4).

    python examples/karpathy.py
"""

import math
import random
from itertools import pairwise
from pathlib import Path


# Autograd: `loss.backward()` finds the gradient, the derivative of the loss with respect to each
# number in its computation.
class Value:
    """A number that remembers its inputs, and its derivative with respect to each of them."""

    __slots__ = ("data", "grad", "inputs", "slopes")

    def __init__(self, data, inputs=(), slopes=()):
        self.data = data  # the number
        self.grad = 0.0  # d result / d self; set by result.backward()
        self.inputs = inputs  # the Values that it was computed from
        self.slopes = slopes  # d self / d input, for each input

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, power):  # the power is a plain number
        return Value(self.data**power, (self,), (power * self.data ** (power - 1),))

    def exp(self):
        return Value(math.exp(self.data), (self,), (math.exp(self.data),))

    def log(self):
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def relu(self):
        return Value(max(0.0, self.data), (self,), (float(self.data > 0),))

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -other

    def __truediv__(self, other):
        return self * other**-1.0

    __radd__, __rmul__ = __add__, __mul__

    def backward(self):
        # In reversed topological order, each gradient is complete before it is passed on.
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            value, is_done = stack.pop()
            if is_done:
                order.append(value)
            elif value not in seen:
                seen.add(value)
                stack.append((value, True))
                stack.extend((source, False) for source in value.inputs)
        self.grad = 1.0
        for value in reversed(order):
            for source, slope in zip(value.inputs, value.slopes, strict=True):
                source.grad += slope * value.grad  # the chain rule; all paths add up, as in x * x


def dot(a, b):
    """Return the sum of a[i] * b[i] as one Value; most of the computation is dot products."""
    data = 0.0
    for x, y in zip(a, b, strict=True):
        data += x.data * y.data
    return Value(data, (*a, *b), (*[y.data for y in b], *[x.data for x in a]))


# Documents: 32,033 first names in random order. All random numbers come from one generator.
rng = random.Random(42)
names = Path(__file__).parents[1] / "data" / "names.txt"
docs = [line.strip() for line in names.read_text(encoding="utf-8").splitlines() if line.strip()]
rng.shuffle(docs)
print(f"num docs: {len(docs)}")

# Tokenizer: one token per character, and BOS, which marks both ends of a document.
chars = sorted(set("".join(docs)))  # a is token 0, b is 1, ... z is 25
BOS = len(chars)  # 26
vocab_size = len(chars) + 1
print(f"vocab size: {vocab_size}")

# Weights: these matrices are the model. They start random, because equal units would stay equal.
n_embd = 16  # how many numbers represent a token
n_head = 4  # number of attention heads; each can look at different tokens
n_layer = 1  # number of layers
block_size = 16  # how many tokens the model can see
head_dim = n_embd // n_head


def matrix(n_rows, n_columns):  # a small std, 0.08, makes all tokens about equally likely at first
    return [[Value(rng.gauss(0, 0.08)) for _ in range(n_columns)] for _ in range(n_rows)]


weights = {
    "wte": matrix(vocab_size, n_embd),  # token embeddings: a row for each token
    "wpe": matrix(block_size, n_embd),  # position embeddings; attention itself ignores order
    "lm_head": matrix(vocab_size, n_embd),  # maps the final vector to a score for each token
}
for layer in range(n_layer):
    weights[f"layer{layer}.attn_wq"] = matrix(n_embd, n_embd)  # queries
    weights[f"layer{layer}.attn_wk"] = matrix(n_embd, n_embd)  # keys
    weights[f"layer{layer}.attn_wv"] = matrix(n_embd, n_embd)  # values
    weights[f"layer{layer}.attn_wo"] = matrix(n_embd, n_embd)  # mixes the heads
    weights[f"layer{layer}.mlp_fc1"] = matrix(4 * n_embd, n_embd)  # maps 16 numbers to 64
    weights[f"layer{layer}.mlp_fc2"] = matrix(n_embd, 4 * n_embd)  # maps 64 numbers back to 16
params = [weight for rows in weights.values() for row in rows for weight in row]
print(f"num params: {len(params)}")


# Model: reads one token and returns a score (a logit) for each token that may come next.
def linear(x, w):
    return [dot(row, x) for row in w]


def softmax(logits):  # turns scores into probabilities, which are positive and add up to 1
    largest = max(logit.data for logit in logits)  # a plain number, not a Value
    exps = [(logit - largest).exp() for logit in logits]  # avoids overflow; the result is the same
    total = sum(exps)
    return [e / total for e in exps]


def rmsnorm(x):  # scales x to a root mean square of 1, so layers read vectors of the same size
    scale = (dot(x, x) / len(x) + 1e-5) ** -0.5  # 1e-5 avoids division by zero
    return [xi * scale for xi in x]


def gpt(token, keys, values):
    """Return the logits after a token; append its key and value to `keys` and `values`."""
    position = len(keys[0])  # number of tokens read so far
    x = [t + p for t, p in zip(weights["wte"][token], weights["wpe"][position], strict=True)]
    x = rmsnorm(x)  # without it, x would be small; the RMSNorms in the layers do not change x
    for layer in range(n_layer):  # both parts of a layer only add to x, the residual stream
        # Attention needs no mask: only this token and the earlier ones have keys. A head compares
        # the query with all keys; softmax of the scores weights the values. Scores grow with
        # sqrt(head_dim); undivided, in a wide head, they would make softmax pick a single token.
        h = rmsnorm(x)
        query = linear(h, weights[f"layer{layer}.attn_wq"])
        keys[layer].append(linear(h, weights[f"layer{layer}.attn_wk"]))
        values[layer].append(linear(h, weights[f"layer{layer}.attn_wv"]))
        gathered = []
        for start in range(0, n_embd, head_dim):
            head = slice(start, start + head_dim)
            scores = [dot(query[head], key[head]) / head_dim**0.5 for key in keys[layer]]
            shares = softmax(scores)
            for i in range(start, start + head_dim):
                gathered.append(dot(shares, [value[i] for value in values[layer]]))
        out = linear(gathered, weights[f"layer{layer}.attn_wo"])
        x = [xi + oi for xi, oi in zip(x, out, strict=True)]  # gradients can also bypass attention
        # The MLP processes this token alone. Without relu, its matrices would equal a single one.
        hidden = [h.relu() for h in linear(rmsnorm(x), weights[f"layer{layer}.mlp_fc1"])]
        out = linear(hidden, weights[f"layer{layer}.mlp_fc2"])
        x = [xi + oi for xi, oi in zip(x, out, strict=True)]  # gradients can also bypass the MLP
    return linear(x, weights["lm_head"])  # the larger x's norm, the more confident the prediction


# Training: each step computes the loss of one name and its gradients, and moves all weights a
# little against their gradients. Adam (Kingma & Ba 2015) decides how far.
num_steps = 1000
learning_rate, beta1, beta2, eps = 0.01, 0.85, 0.99, 1e-8
m = [0.0] * len(params)  # running mean of each gradient
v = [0.0] * len(params)  # running mean of each squared gradient
losses = []
for step in range(num_steps):
    # Read the name token by token, and predict each token from those before it. The last token is
    # only a target. Keys and values belong to the graph: later losses send gradients through them.
    doc = docs[step % len(docs)]
    tokens = [BOS, *(chars.index(char) for char in doc), BOS][: block_size + 1]
    keys, values = [[] for _ in range(n_layer)], [[] for _ in range(n_layer)]
    nlls = []
    for token, target in pairwise(tokens):
        probs = softmax(gpt(token, keys, values))
        nlls.append(-probs[target].log())  # 0 if the model was certain of the right token
    loss = (1 / len(nlls)) * sum(nlls)  # nats per token; a sum would grow with the length

    # Compute d loss / d weight for each weight. `backward` adds to the gradients, so reset them.
    for param in params:
        param.grad = 0.0
    loss.backward()

    # Adam divides the mean gradient by its typical size. m_hat, v_hat correct for starting at 0.
    lr = learning_rate * (1 - step / num_steps)  # falls linearly to 0
    for i, param in enumerate(params):
        m[i] = beta1 * m[i] + (1 - beta1) * param.grad
        v[i] = beta2 * v[i] + (1 - beta2) * param.grad**2
        m_hat = m[i] / (1 - beta1 ** (step + 1))  # divisor: the total weight of the gradients in m
        v_hat = v[i] / (1 - beta2 ** (step + 1))
        param.data -= lr * m_hat / (math.sqrt(v_hat) + eps)
    losses.append(loss.data)
    print(f"step {step + 1:4d} / {num_steps:4d} | loss {loss.data:.4f}", end="\r", flush=True)

# Samples: begin with BOS, draw the next token with its probability, and read it.
temperature = 0.5  # below 1, likely letters become likelier still
print("\n--- inference (new, hallucinated names) ---")
samples = []
for sample in range(20):
    keys, values = [[] for _ in range(n_layer)], [[] for _ in range(n_layer)]
    token, name = BOS, ""
    while len(name) < block_size:  # the context holds BOS and 15 letters; the 16th is not read
        probs = softmax([logit / temperature for logit in gpt(token, keys, values)])
        token = rng.choices(range(vocab_size), weights=[p.data for p in probs])[0]
        if token == BOS:
            break
        name += chars[token]
    samples.append(name)
    print(f"sample {sample + 1:2d}: {name}")
