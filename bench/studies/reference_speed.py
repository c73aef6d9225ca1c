"""How fast is a step of the reference engine, compared with Karpathy's scripts?

About fifteen times as fast (docs/decisions/0002-a-dot-product-is-one-node.md).

    uv run python bench/study.py reference_speed [--steps 30] [--rounds 3]

Three contenders alternately train the same model on the same names, each in its own process:

    closures          his first script: each node has a closure for its backward step
    local gradients   his current script: each node stores its local derivatives, like ours
    microgpt          our reference engine

The first two are plain reimplementations of his scripts. They build the same graph, with one node
per + and ×. All contenders must compute the same losses. Prints the time per step (fastest and
median round), the speed-up over the faster of his scripts, the share of Python's cyclic garbage
collector, and our peak memory after reading 50 documents once and four times. A few minutes.
"""

import gc
import json
import math
import random
import resource
import statistics
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter

from microgpt.config import ModelConfig, TrainConfig
from microgpt.model import init_weights
from microgpt.reference import ReferenceEngine

NAMES = Path(__file__).parents[2] / "data" / "names.txt"
MODEL, CONFIG = ModelConfig(vocab_size=27), TrainConfig()
OPTIONS = {"steps": 30, "rounds": 3}
MEMORY_DOCS = 50  # number of documents, read once and four times; the longest determines the peak


class Closures:
    """A scalar whose operations define closures for the backward pass."""

    def __init__(self, data, inputs=()):
        self.data, self.grad, self.inputs, self.run_backward = data, 0.0, inputs, lambda: None

    def __add__(self, other):
        other = other if isinstance(other, Closures) else Closures(other)
        out = Closures(self.data + other.data, (self, other))

        def run():
            self.grad += out.grad
            other.grad += out.grad

        out.run_backward = run
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Closures) else Closures(other)
        out = Closures(self.data * other.data, (self, other))

        def run():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.run_backward = run
        return out

    def unary(self, data, slope):
        """Return a node with one input and the given derivative."""
        out = Closures(data, (self,))

        def run():
            self.grad += slope * out.grad

        out.run_backward = run
        return out

    def propagate(self):
        """Add this node's contribution to the gradients of its inputs, by its closure."""
        self.run_backward()


class LocalGradients:
    """A scalar that stores its local derivatives."""

    __slots__ = ("data", "grad", "inputs", "slopes")

    def __init__(self, data, inputs=(), slopes=()):
        self.data, self.grad, self.inputs, self.slopes = data, 0.0, inputs, slopes

    def __add__(self, other):
        other = other if isinstance(other, LocalGradients) else LocalGradients(other)
        return LocalGradients(self.data + other.data, (self, other), (1, 1))

    def __mul__(self, other):
        other = other if isinstance(other, LocalGradients) else LocalGradients(other)
        return LocalGradients(self.data * other.data, (self, other), (other.data, self.data))

    def unary(self, data, slope):
        """Return a node with one input and the given derivative."""
        return LocalGradients(data, (self,), (slope,))

    def propagate(self):
        """Add this node's contribution to the gradients of its inputs, by the chain rule."""
        for node, slope in zip(self.inputs, self.slopes, strict=True):
            node.grad += slope * self.grad


def backward(root) -> None:
    """Sort the graph recursively, like Karpathy's script, and backpropagate."""
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for source in node.inputs:
                visit(source)
            order.append(node)

    visit(root)
    root.grad = 1.0
    for node in reversed(order):
        node.propagate()


def add_up(nodes):
    """Add the nodes like `sum`: from 0, left to right."""
    result = None
    for node in nodes:
        result = node + 0 if result is None else result + node
    return result


def power(x, exponent):
    """Return x ** exponent."""
    return x.unary(x.data**exponent, exponent * x.data ** (exponent - 1))


def exp(x):
    """Return e ** x."""
    return x.unary(math.exp(x.data), math.exp(x.data))


def softmax(logits):
    """Return the probabilities of the logits."""
    top = max(logit.data for logit in logits)
    exps = [exp(logit + -top) for logit in logits]
    norm = add_up(exps)
    return [e * power(norm, -1) for e in exps]


def rmsnorm(x):
    """Return x, scaled to a mean square of 1."""
    scale = power(add_up(xi * xi for xi in x) * (1 / len(x)) + 1e-5, -0.5)
    return [xi * scale for xi in x]


def linear(x, w):
    """Return the matrix-vector product w x."""
    return [add_up(wi * xi for wi, xi in zip(row, x, strict=True)) for row in w]


def plain_forward(weights, token, keys, values):
    """Return the logits of a model with one layer."""
    x = [a + b for a, b in zip(weights["wte"][token], weights["wpe"][len(keys)], strict=True)]
    residual = x = rmsnorm(x)
    x = rmsnorm(x)
    query = linear(x, weights["layer0.attn_wq"])
    keys.append(linear(x, weights["layer0.attn_wk"]))
    values.append(linear(x, weights["layer0.attn_wv"]))
    gathered = []
    for start in range(0, MODEL.n_embd, MODEL.head_dim):
        span = range(start, start + MODEL.head_dim)
        scores = [
            add_up(query[i] * key[i] for i in span) * (1 / MODEL.head_dim**0.5) for key in keys
        ]
        shares = softmax(scores)
        gathered += [add_up(s * v[i] for s, v in zip(shares, values, strict=True)) for i in span]
    attended = linear(gathered, weights["layer0.attn_wo"])
    residual = x = [a + b for a, b in zip(attended, residual, strict=True)]
    hidden = [
        h.unary(max(0, h.data), h.data > 0) for h in linear(rmsnorm(x), weights["layer0.mlp_fc1"])
    ]
    x = linear(hidden, weights["layer0.mlp_fc2"])
    return linear([a + b for a, b in zip(x, residual, strict=True)], weights["lm_head"])


def plain_losses(number: type, docs: list[list[int]], initial) -> Iterator[float]:
    """Train like Karpathy's script, and yield the loss of each step."""
    sys.setrecursionlimit(1_000_000)
    weights = {n: [[number(w) for w in row] for row in rows] for n, rows in initial.items()}
    params = [w for rows in weights.values() for row in rows for w in row]
    m, v = [0.0] * len(params), [0.0] * len(params)
    for step, tokens in enumerate(docs):
        n = min(MODEL.block_size, len(tokens) - 1)
        keys, values, surprises = [], [], []
        for position in range(n):
            probs = softmax(plain_forward(weights, tokens[position], keys, values))
            hit = probs[tokens[position + 1]]
            surprises.append(hit.unary(math.log(hit.data), 1 / hit.data) * -1)
        loss = add_up(surprises) * (1 / n)
        backward(loss)
        lr = CONFIG.lr_at(step)
        for i, param in enumerate(params):
            m[i] = CONFIG.beta1 * m[i] + (1 - CONFIG.beta1) * param.grad
            v[i] = CONFIG.beta2 * v[i] + (1 - CONFIG.beta2) * param.grad**2
            m_hat = m[i] / (1 - CONFIG.beta1 ** (step + 1))
            v_hat = v[i] / (1 - CONFIG.beta2 ** (step + 1))
            param.data -= lr * m_hat / (v_hat**0.5 + CONFIG.adam_eps)
            param.grad = 0.0
        yield loss.data


def our_losses(docs: list[list[int]], initial) -> Iterator[float]:
    """Train with the reference engine, and yield the loss of each step."""
    engine = ReferenceEngine(MODEL, initial)
    for step, tokens in enumerate(docs):
        yield engine.step([tokens], lr=CONFIG.lr_at(step))


CONTENDERS: dict[str, Callable] = {
    "closures": lambda docs, initial: plain_losses(Closures, docs, initial),
    "local gradients": lambda docs, initial: plain_losses(LocalGradients, docs, initial),
    "microgpt": our_losses,
}


def work(name: str, steps: int, n_docs: int) -> dict[str, object]:
    """Run a contender in this process, and return its measurements."""
    # Import only what his script needs: the garbage collector would also scan other modules.
    docs = [line.strip() for line in NAMES.read_text(encoding="utf-8").splitlines()]
    chars = sorted(set("".join(docs)))
    rng = random.Random(CONFIG.seed)
    rng.shuffle(docs)
    initial = init_weights(MODEL, rng)
    docs = docs[:n_docs] * (1 + steps // n_docs)
    tokens = [[26, *map(chars.index, doc), 26] for doc in docs]
    collecting = {"since": 0.0, "seconds": 0.0}

    def watch(phase: str, info: object) -> None:
        if phase == "start":
            collecting["since"] = perf_counter()
        else:
            collecting["seconds"] += perf_counter() - collecting["since"]

    gc.callbacks.append(watch)
    losses, peak = [], {}
    started = perf_counter()
    for step, loss in enumerate(islice(CONTENDERS[name](tokens, initial), steps), start=1):
        losses.append(loss)
        if step in (n_docs, 4 * n_docs):
            peak[step] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = perf_counter() - started
    return {
        "ms": 1000 * seconds / steps,
        "gc_share": collecting["seconds"] / seconds,
        "losses": losses,
        "peak_mib": peak,
    }


def in_process(name: str, steps: int) -> dict[str, object]:
    """Run a contender in a new process, and return its measurements."""
    command = [sys.executable, __file__, name, str(steps), str(MEMORY_DOCS)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(options: Namespace) -> None:
    """Measure all contenders and print the table."""
    from machine import machine  # here: the garbage collector of a contender would scan NumPy, too

    print(machine())
    print(f"{options.steps} steps per round, {options.rounds} alternating rounds, batch 1\n")
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        rounds.append({name: in_process(name, options.steps) for name in CONTENDERS})
    for name in CONTENDERS:
        apart = max(
            abs(a - b)
            for a, b in zip(rounds[0][name]["losses"], rounds[0]["microgpt"]["losses"], strict=True)
        )
        assert apart < 1e-9, f"{name} computes different losses: they differ by {apart}"
    times = {name: [each[name]["ms"] for each in rounds] for name in CONTENDERS}
    print(f"{'':16} {'ms/step: min':>15} {'median':>8} {'speed-up':>11} {'in gc':>10}")
    for name in CONTENDERS:
        ratio = statistics.median(
            min(each["closures"]["ms"], each["local gradients"]["ms"]) / each[name]["ms"]
            for each in rounds
        )
        share = statistics.median(each[name]["gc_share"] for each in rounds)
        print(
            f"{name:16} {min(times[name]):15.1f} {statistics.median(times[name]):8.1f} "
            f"{ratio:11.2f} {share:10.0%}"
        )
    peak = in_process("microgpt", 4 * MEMORY_DOCS)["peak_mib"]
    after = ", ".join(f"{mib:.1f} MiB after {step} steps" for step, mib in peak.items())
    print(f"\npeak memory of microgpt: {after}")


if __name__ == "__main__":
    who, *numbers = sys.argv[1:]
    print(json.dumps(work(who, *map(int, numbers))))
