"""Karpathy's microgpt on one page: documents, tokenizer, model, training and samples.

With seed 42, it gives the same losses and 20 names as Karpathy's script. It needs no compiler and
no NumPy, only pydantic to read the file: all numbers are Python floats, and `Value.backward`
computes all gradients. It takes about 16 seconds; `train()`, once compiled, 20 milliseconds.

    uv run python examples/karpathy.py        # 1000 steps
    uv run python examples/karpathy.py 100    # only the first 100 of 1000 steps
"""

import math
import random
import signal
import sys
from itertools import pairwise

from microgpt import CharTokenizer, Gpt, ModelConfig, Value, load_text
from microgpt.data.documents import bundled
from microgpt.model import cross_entropy, init_weights, softmax

NUM_STEPS = 1000
arg = sys.argv[1] if len(sys.argv) > 1 else str(NUM_STEPS)
if arg not in map(str, range(1, NUM_STEPS + 1)):
    print(f"usage: karpathy.py [STEPS], STEPS from 1 to {NUM_STEPS}; got {arg!r}", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":  # Ctrl-C ends with one line instead of a traceback
    signal.signal(signal.SIGINT, lambda *_: sys.exit("\ninterrupted"))

# Documents: 32,033 first names in random order. All random numbers come from one generator.
rng = random.Random(42)
docs = load_text(bundled("names.txt"))
rng.shuffle(docs)
print(f"num docs: {len(docs)}")

# Tokenizer: one token per character, and BOS, which marks both ends of a document.
tokenizer = CharTokenizer.from_documents(docs)
BOS = tokenizer.bos_id
print(f"vocab size: {tokenizer.vocab_size}")

# Model: a GPT whose weights are `Value`s, so that the loss can be differentiated.
config = ModelConfig(n_embd=16, n_head=4, n_layer=1, block_size=16, vocab_size=tokenizer.vocab_size)
initial = init_weights(config, rng)  # Gaussian, standard deviation 0.08
weights = {name: [[Value(w) for w in row] for row in rows] for name, rows in initial.items()}
params = [w for matrix in weights.values() for row in matrix for w in row]
gpt = Gpt(config, weights)
print(f"num params: {len(params)}")

# Training: each step computes the loss of one document and its gradients, and updates with Adam.
LEARNING_RATE, BETA1, BETA2, EPS = 0.01, 0.85, 0.99, 1e-8
m = [0.0] * len(params)  # Adam: running mean of each gradient
v = [0.0] * len(params)  # Adam: running mean of each squared gradient
losses = []
for step in range(int(arg)):
    # Read the document token by token, and predict each token from the tokens before it.
    doc = docs[step % len(docs)]
    tokens = [BOS, *tokenizer.encode(doc), BOS][: config.block_size + 1]
    cache = gpt.new_cache()  # keys and values of the tokens read so far
    nlls = []
    for token, target in pairwise(tokens):
        logits = gpt.forward(token, cache)
        nlls.append(cross_entropy(logits, target))
    loss = (1 / len(nlls)) * sum(nlls)  # mean negative log-likelihood per token, in nats

    # Backpropagate through the graph of the loss: compute d loss / d weight for every weight.
    for param in params:
        param.grad = 0.0
    loss.backward()

    # Update each weight with Adam (Kingma & Ba 2015).
    lr = LEARNING_RATE * (1 - step / NUM_STEPS)
    for i, param in enumerate(params):
        m[i] = BETA1 * m[i] + (1 - BETA1) * param.grad
        v[i] = BETA2 * v[i] + (1 - BETA2) * param.grad * param.grad
        m_hat = m[i] / (1 - BETA1 ** (step + 1))
        v_hat = v[i] / (1 - BETA2 ** (step + 1))
        param.data -= lr * m_hat / (math.sqrt(v_hat) + EPS)
    losses.append(loss.data)
    is_terminal = sys.stdout.isatty()  # in a pipe or a file, print a line every 100 steps
    if is_terminal or (step + 1) % 100 == 0 or step + 1 == int(arg):
        end = "\r" if is_terminal else "\n"
        print(f"step {step + 1:4d} / {NUM_STEPS:4d} | loss {loss.data:.4f}", end=end, flush=True)

# Samples: the same model with float weights; each token is sampled from softmax(logits).
TEMPERATURE = 0.5  # > 0; low temperatures favor likely tokens
print("\n\n--- inference (new, hallucinated names) ---")
trained = Gpt(config, {name: [[w.data for w in row] for row in weights[name]] for name in weights})
samples = []
for i in range(20):
    cache = trained.new_cache()
    token, sample = BOS, ""
    while len(sample) < config.block_size:
        logits = trained.forward(token, cache)
        probs = softmax([logit / TEMPERATURE for logit in logits])
        token = rng.choices(range(tokenizer.vocab_size), weights=probs)[0]
        if token == BOS:
            break
        sample += tokenizer.decode([token])
    samples.append(sample)
    print(f"sample {i + 1:2d}: {sample}")
