"""What do the parts of a GPT do? Remove one, train again, and compare the loss.

For each experiment, first write a prediction below: by how much will the loss of held-out names
change, in nats per token? A positive number means that the model becomes worse. The unchanged model
has a loss of about 2.35; a blind guess among 27 tokens has log(27) = 3.30. Then `microgpt course
check` trains both models, each for 1,000 steps in about 20 seconds, and shows both numbers.
"""

import random
from dataclasses import replace

from microgpt.data.tokenizer import CharTokenizer
from microgpt.model import Gpt, init_weights, linear, rmsnorm, softmax
from microgpt.model_config import ModelConfig
from microgpt.reference import ReferenceEngine, document_loss
from microgpt.value import dot, exp

predictions = {  # write a number instead of None, such as 0.1
    "no residual connections": None,
    "GELU instead of ReLU": None,
    "no positions": None,
    "one head": None,
    "twice the learning rate": None,
    "no scaling of the scores": None,
    "tied embeddings": None,
    "a second layer": None,
}

config = ModelConfig(n_embd=16, n_head=4, n_layer=1, block_size=16, vocab_size=27)


def held_out_loss(names, gpt_type=Gpt, config=config, lr=0.01, steps=1000):
    """Train on one name per step; return the mean loss of 500 other names, in nats per token."""
    names, rng = sorted(set(names)), random.Random(1)
    tokenizer = CharTokenizer.from_documents(names)
    docs = [tokenizer.encode_document(name) for name in rng.sample(names, steps + 500)]
    engine = ReferenceEngine(config, init_weights(config, rng), gpt_type=gpt_type)
    for step in range(steps):
        engine.step([docs[step]], lr * (1 - step / steps))
    weights = {
        name: [[weight.data for weight in row] for row in rows]
        for name, rows in engine.gpt.weights.items()
    }
    gpt = gpt_type(config, weights)  # the same model with floats, which is faster
    losses = [document_loss(gpt, doc) for doc in docs[steps:]]
    return sum(losses) / sum(len(doc) - 1 for doc in docs[steps:])


class NoResiduals(Gpt):
    def block(self, x, layer, cache):
        x = self.attention(rmsnorm(x), layer, cache)
        return self.mlp(rmsnorm(x), layer)


class Gelu(Gpt):  # smooth at 0; approximated by a sigmoid
    def mlp(self, x, layer):
        hidden = linear(x, self.weights[f"layer{layer}.mlp_fc1"])
        hidden = [h / (1 + exp(-1.702 * h)) for h in hidden]
        return linear(hidden, self.weights[f"layer{layer}.mlp_fc2"])


class NoPositions(Gpt):
    def embedding(self, token, position):
        return list(self.weights["wte"][token])


class Unscaled(Gpt):
    def attention_weights(self, query, keys):
        return softmax([dot(query, key) for key in keys])


class Tied(Gpt):  # the embeddings are also the output matrix
    def logits(self, x):
        return linear(x, self.weights["wte"])


experiments = {
    "no residual connections": {"gpt_type": NoResiduals},
    "GELU instead of ReLU": {"gpt_type": Gelu},
    "no positions": {"gpt_type": NoPositions},
    "one head": {"config": replace(config, n_head=1)},
    "twice the learning rate": {"lr": 0.02},
    "no scaling of the scores": {"gpt_type": Unscaled},
    "tied embeddings": {"gpt_type": Tied},
    "a second layer": {"config": replace(config, n_layer=2)},
}
