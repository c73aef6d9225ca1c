"""What is each part of a GPT worth? Take it away, train again, and compare the loss.

A part adds its result to the vector through one matrix: attention through attn_wo, the MLP through
mlp_fc2, the positions through wpe. If all numbers of this matrix are 0, the part adds nothing. The
training would change them, so `remove` sets them to 0 again after each step.

1. Write `remove` and `count_active`.
2. Write a prediction instead of each None: by how much will the loss of names that were held out
   change, in nats per token? A positive number means that the model becomes worse. A blind guess
   among 27 tokens has a loss of log(27) = 3.30.
3. `microgpt course check` trains each model for 10,000 steps, in a few seconds, and shows your
   predictions, the losses, and how many of the 64 hidden units are active on average. ReLU makes
   the others 0. Hardly any will be active, and many will be dead: 0 for every letter, so that their
   gradients are 0, and they do not come back. Choose another `my_rate`, so that at least 8 are
   active and the loss is no higher.
"""

import random

from microgpt import Gpt, ModelConfig, TrainConfig, linear, train, weight_shapes
from microgpt.reference import document_loss
from microgpt.training.hooks import Hook

predictions = {  # write a number instead of None, such as 0.1
    "no attention": None,
    "no MLP": None,
    "no positions": None,
    "one head": None,
}
my_rate = 0.01  # the learning rate of the first step; it falls linearly to 0


def remove(matrix, weights, shapes):
    """Set the numbers of each matrix whose name ends with `matrix` to 0.

    `weights` is a list of all numbers of the model, matrix after matrix. `shapes` lists the
    matrices in this order, with their numbers of rows and columns: {"wte": (27, 16), ...}.
    """
    # Your code goes here.
    start = 0
    for name, (rows, columns) in shapes.items():
        end = start + rows * columns
        if name.endswith(matrix):
            for i in range(start, end):
                weights[i] = 0.0
        start = end
    # End of your code.


def count_active(hidden):
    """Return how many hidden units are active, given their pre-activations (ReLU's inputs)."""
    # Your code goes here.
    return sum(number > 0 for number in hidden)
    # End of your code.


class Removed(Hook):
    def __init__(self, matrix):
        self.matrix = matrix

    def next_step(self, run):
        return run.step + 1  # call on_step before each step

    def on_step(self, run):
        weights = run.engine.flat_weights()
        remove(self.matrix, weights, weight_shapes(run.plan.model))
        run.engine.set_weights(weights)


class Counted(Gpt):
    def mlp(self, x, layer):
        self.counts.append(count_active(linear(x, self.weights[f"layer{layer}.mlp_fc1"])))
        return super().mlp(x, layer)


def measure(names, matrix=None, n_head=4, lr=0.01, steps=10_000):
    """Train a model; return its loss on 500 held-out names, and its mean number of active units."""
    names = sorted(set(names))
    random.Random(1).shuffle(names)
    hooks = [Removed(matrix)] if matrix else []
    settings = TrainConfig(steps=steps, lr=lr)
    result = train(names[500:], model=ModelConfig(n_head=n_head), config=settings, hooks=hooks)
    gpt = Counted(result.model, result.weights)
    gpt.counts = []
    docs = [result.tokenizer.encode_document(name) for name in names[:500]]
    loss = sum(document_loss(gpt, doc) for doc in docs) / sum(len(doc) - 1 for doc in docs)
    return loss, sum(gpt.counts) / len(gpt.counts)


experiments = {
    "no attention": {"matrix": "attn_wo"},
    "no MLP": {"matrix": "mlp_fc2"},
    "no positions": {"matrix": "wpe"},
    "one head": {"n_head": 1},
}
