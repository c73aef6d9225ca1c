"""The check of each exercise: expressions with the learner's code, and their right results."""

import builtins
import random
from collections.abc import Callable, Iterator
from functools import partial
from operator import mul
from types import FunctionType
from typing import Any

from microgpt import (
    Gpt,
    ModelConfig,
    ReferenceEngine,
    Value,
    cross_entropy,
    init_weights,
    learning_rate,
    linear,
    rmsnorm,
    softmax,
)
from microgpt_course.facts import A_FINITE_DIFFERENCE, Fact, Wrong, slope

ADAM_GRADIENTS = ([0.5, 1e-7, 0.0], [0.1, 1e-7, 1.0], [-0.4, -20.0, 1.0])  # of three weights
CONFIG = ModelConfig(n_embd=4, n_head=1, n_layer=1, block_size=4, vocab_size=5)


class Learner(dict[str, Any]):
    """The definitions of a learner's file. Calls of its functions are watched for mistakes."""

    def __getitem__(self, name: str) -> Any:
        """Return a class or a function of the file; raise Wrong if there is none."""
        if name not in self:
            if hasattr(builtins, name):
                raise KeyError(name)  # `eval` then takes the built-in function
            raise Wrong(f"there is no `{name}` in this file; was it renamed or deleted?")
        found = super().__getitem__(name)
        return partial(_watched, found) if isinstance(found, FunctionType) else found

    def __getattr__(self, name: str) -> Any:
        """Return a definition by its name."""
        return self[name]

    def fact(self, what: str, expected: object, *whys: Any, **more: Any) -> Fact:
        """Return the fact that an expression with the definitions has a value."""
        return Fact(what, eval(what, {}, self), expected, *whys, **more)


def _watched(function: Callable[..., object], *args: Any, **options: Any) -> object:
    """Call a function that should return something and leave its lists unchanged."""
    before = list(map(repr, args))
    result, name = function(*args, **options), function.__name__
    if result is None:
        raise Wrong(f"{name} returned nothing (None); is `return` missing?")
    for was, now in zip(before, map(repr, args), strict=True):
        if was != now and name != "attend":  # it adds to the cache
            raise Wrong(f"{name} changed a list that it was given, {was}; make a new list")
    return result


def is_value(what: str, result: object) -> Fact:
    """Return the fact that a result of Values is a Value, so that it has gradients."""
    why = "Is `.data`, `float` or a function of `math` used?"
    return Fact(f"type({what})", type(result).__name__, "Value", why)


def tokenizer(code: Learner) -> Iterator[Fact]:
    """Check a tokenizer of characters."""
    made = 'Tokenizer(["emma", "ava"])'
    yield code.fact(f"{made}.chars", list("aemv"), "Is each character there once, sorted?")
    yield code.fact(f"{made}.bos", 4, "BOS has the number after those of the 4 characters.")
    yield code.fact(f'{made}.encode("emma")', [4, 1, 2, 2, 0, 4], "Is BOS at both ends?")
    yield code.fact(f'{made}.encode("")', [4, 4])
    yield code.fact(f"{made}.decode([1, 2, 2, 0])", "emma")
    yield code.fact(f"{made}.decode([4, 1, 2, 2, 0, 4])", "emma", "Does BOS have a text?")
    yield code.fact('Tokenizer(["ba"]).encode("ab")', [2, 0, 1, 2])


def value(code: Learner) -> Iterator[Fact]:
    """Check the product and the power of Values."""
    for x, y in ((2.0, 3.0), (-1.5, 4.0)):
        what = f"(Value({x}) * Value({y}))"
        yield code.fact(f"type{what}.__name__", "Value", "Does __mul__ return a Value?")
        yield code.fact(f"{what}.data", x * y, mistakes={x + y: "Is that the sum?"})
        yield code.fact(f"{what}.inputs", [x, y], "The inputs are self and other.")
        why = "The inputs are the Values self and other, not their numbers."
        a = code.Value(x)
        yield Fact(f"{what}.inputs[0] is the Value", (a * code.Value(y)).inputs[0] is a, True, why)
        slopes = [slope(partial(mul, y), x), slope(partial(mul, x), y)]
        why = "If x grows by a little, how much faster does x * y grow? Are the two exchanged?"
        yield code.fact(f"{what}.slopes", slopes, why, source=A_FINITE_DIFFERENCE)
        why = "Slopes are plain numbers: use `.data`."
        yield code.fact(f"type({what}.slopes[0]).__name__", "float", why)
    yield code.fact("(Value(2.0) * 3).data", 6.0)
    for x, n in ((3.0, 2), (4.0, -0.5)):
        what = f"(Value({x}) ** {n})"
        yield code.fact(f"type{what}.__name__", "Value", "Does __pow__ return a Value?")
        yield code.fact(f"{what}.data", x**n)
        yield code.fact(f"{what}.inputs", [x], "The only input is self: (self,).")
        slopes = [slope(lambda k: k**n, x)]  # noqa: B023  (called at once)
        why = "The derivative of x ** n is n * x ** (n - 1)."
        yield code.fact(f"{what}.slopes", slopes, why, source=A_FINITE_DIFFERENCE)


def backward(code: Learner) -> Iterator[Fact]:
    """Check the gradients of expressions with several paths to one Value."""
    source, total = A_FINITE_DIFFERENCE, "Do contributions add up (+=), or replace each other?"
    x, y = code.Value(2.0), code.Value(3.0)
    result = x * y
    result.backward()
    why = "The gradient of the result itself is 1."
    yield Fact("after (x * y).backward(), (x * y).grad", result.grad, 1.0, why)
    why = "Multiply the slope by the gradient of the Value that used it."
    twice = {6.0: "Does the gradient come in twice?", 0.0: "Does `backward` reach the inputs?"}
    yield Fact("your gradient of x in x * y, with y = 3,", x.grad, 3.0, why, twice, source)
    x = code.Value(3.0)
    (x * x).backward()
    yield Fact("your gradient of x in x * x, with x = 3,", x.grad, 6.0, total, source=source)
    a, b = code.Value(2.0), code.Value(-3.0)
    ((a * b + 10) * a).backward()
    what = "(a * b + 10) * a, with a = 2 and b = -3,"
    chain = {2.0: "Is the slope multiplied by the gradient of the Value that used it?"}
    chain |= {0.0: "Does `backward` begin with the result, and reach all inputs?"}
    yield Fact(f"your gradient of b in {what}", b.grad, 4.0, why, chain, source)
    yield Fact(f"your gradient of a in {what}", a.grad, -2.0, total, source=source)
    x = code.Value(1.5)
    middle = x + x
    (middle * middle + middle).backward()
    why = "Has each Value received all of its gradient before it passes it on? Begin with the last."
    what = "your gradient of x in y * y + y, with y = x + x and x = 1.5,"
    yield Fact(what, x.grad, slope(lambda n: (n + n) ** 2 + n + n, 1.5), why, source=source)
    x = code.Value(1.0)
    long = x
    for _ in range(3000):
        long = long + 1
    long.backward()
    yield Fact("your gradient of x in x + 1 + 1 + ... (3,000 times)", x.grad, 1.0, source=source)


def loss(code: Learner) -> Iterator[Fact]:
    """Check softmax and the cross-entropy, of floats and of Values."""
    logits, why = [1.0, 2.0, 3.0], "Divide each power by the sum of all powers."
    yield code.fact(f"softmax({logits})", softmax(logits), why)
    large = "Is the largest logit subtracted first?"
    yield code.fact("softmax([1000.0, 1000.0])", [0.5, 0.5], large)
    yield code.fact("softmax([-1000.0, -1000.0])", [0.5, 0.5], large)
    why, sign = "Is that the logarithm of the target's probability?", "Is the minus sign there?"
    for target in (2, 0):
        right = cross_entropy(logits, target)
        yield code.fact(f"cross_entropy([1.0, 2.0, 3.0], {target})", right, why, {-right: sign})
    yield code.fact("cross_entropy([1000.0, 1000.0], 0)", cross_entropy([0.0, 0.0], 0), large)
    values = [Value(logit) for logit in logits]
    result = code.cross_entropy(values, 0)
    what = "the loss of three Values"
    yield is_value(what, result)
    result.backward()
    gradient = [p - (i == 0) for i, p in enumerate(softmax(logits))]
    why = "It is the probability, minus 1 for the target. Is `float` or `.data` used on the way?"
    yield Fact(f"the gradient of {what}", [v.grad for v in values], gradient, why)


def embedding(code: Learner) -> Iterator[Fact]:
    """Check the embedding of a token, and the product of a matrix and a vector."""
    wte, wpe = [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]], [[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]]
    for token, position in ((1, 0), (0, 1)):
        right = [a + b for a, b in zip(wte[token], wpe[position], strict=True)]
        why = "Add row `token` of wte and row `position` of wpe, number by number."
        yield code.fact(f"embedding({token}, {position}, {wte}, {wpe})", right, why)
    matrix = [[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]]
    why = "One number for each row: dot(row, x)."
    yield code.fact(f"linear([3.0, 4.0], {matrix})", linear([3.0, 4.0], matrix), why)
    rows = [[Value(1.0)], [Value(2.0)]]
    yield is_value("embedding(Values)[0]", code.embedding(0, 1, rows, rows)[0])
    yield is_value("linear(Values)[0]", code.linear(rows[0], rows)[0])


def norm(code: Learner) -> Iterator[Fact]:
    """Check RMSNorm and its gradient."""
    why = "Is that the root of the mean (not of the sum) of the squares?"
    for x in ([300.0, -400.0, 0.0], [3.0, 4.0], [0.0, 0.0], [0.001, 0.002]):
        yield code.fact(f"rmsnorm({x})", rmsnorm(x), why)
        why = "Is 1e-5 added to the mean square, before the root is taken?"
    a, b = Value(3.0), Value(4.0)
    result = code.rmsnorm([a, b])[0]
    yield is_value("rmsnorm(Values)[0]", result)
    result.backward()
    right = slope(lambda n: rmsnorm([n, 4.0])[0], 3.0)
    why = "Does math.sqrt or float(...) hide the Values? Use ** -0.5."
    what = "your gradient of x[0] in rmsnorm(x)[0], with x = [3, 4],"
    yield Fact(what, a.grad, right, why, source=A_FINITE_DIFFERENCE)


def attention(code: Learner) -> Iterator[Fact]:
    """Check one head: its cache, its result, and the gradient of an earlier token's key."""
    keys, values = [[1.0, 0.0], [0.0, 0.0]], [[10.0, 0.0], [0.0, 0.0]]
    all_keys, all_values = [*keys, [0.0, 1.0]], [*values, [0.0, 20.0]]
    got = code.attend([0.0, 2.0], [0.0, 1.0], [0.0, 20.0], keys, values)
    yield Fact("after attend(...), keys", keys, all_keys, "Append the key.")
    yield Fact("after attend(...), values", values, all_values, "Append the value.")
    weights = softmax([0.0, 0.0, 2 / 2**0.5])
    right = [10 * weights[0], 20 * weights[2]]
    why = "Are the scores divided by the square root of the length? Is it weights times values?"
    yield Fact("the example's attend(...)", got, right, why)
    rng = random.Random(1)
    gpt: Gpt[float] = Gpt(CONFIG, init_weights(CONFIG, rng))
    gpt.weights["layer0.attn_wo"] = [[float(i == k) for k in range(4)] for i in range(4)]  # type: ignore[index]
    cache, keys, values = gpt.new_cache(), [], []
    for i in range(3):
        x = [rng.gauss(0, 20) for _ in range(4)]
        right = gpt.attention(x, 0, cache)
        query, key, value = (linear(x, gpt.weights[f"layer0.attn_w{part}"]) for part in "qkv")
        got = code.attend(query, key, value, keys, values)
        yield Fact(f"attend(...) of token {i}, with 4 numbers each,", got, right, why)
    rows = [[2.0, 0.0], [0.0, 0.0], [1.0, 2.0], [1.0, 0.0], [3.0, 4.0]]
    parts = [[Value(n) for n in row] for row in rows]
    first = parts[3][0]
    result = code.attend(*parts[:3], parts[3:4], parts[4:])[0]
    what = "attend(Values)[0]"
    yield is_value(what, result)
    result.backward()
    derivative = slope(lambda n: 1 + 2 * softmax([n * 2**0.5, 0.0])[0], 1.0)
    why = "Is `.data` or `float` used on the way? Gradients must reach the cached keys."
    what = f"your gradient of an earlier key in {what}"
    yield Fact(what, first.grad, derivative, why, source=A_FINITE_DIFFERENCE)


def mlp(code: Learner) -> Iterator[Fact]:
    """Check the MLP against the library's."""
    fc1, fc2 = [[1.0, 1.0], [1.0, -1.0]], [[2.0, 5.0]]
    got = code.mlp([1.0, 2.0], fc1, fc2)
    mistakes = "Is relu applied to the hidden units, between the two matrices?"
    yield Fact("the example's mlp(...)", got, [6.0], mistakes)
    got = code.mlp([-1.0, -2.0], fc1, [[-2.0, -5.0]])
    yield Fact("mlp([-1.0, -2.0], ...)", got, [-5.0], "Only hidden units pass through relu.")
    rng = random.Random(2)
    gpt: Gpt[float] = Gpt(CONFIG, init_weights(CONFIG, rng))
    x, parts = [1.0, -2.0, 3.0, -4.0], [gpt.weights[f"layer0.mlp_fc{i}"] for i in (1, 2)]
    yield Fact("mlp(...) of 4 numbers, 16 hidden,", code.mlp(x, *parts), gpt.mlp(x, 0), mistakes)
    one = [[Value(1.0)]]
    yield is_value("mlp(Values)[0]", code.mlp([Value(2.0)], one, one)[0])


def residual(code: Learner) -> Iterator[Fact]:
    """Check that both parts read a normalized vector and are added to one that is not."""
    seen: list[list[float]] = []

    def ones(x: list[float]) -> list[float]:
        seen.append(x)
        return [1.0] * len(x)

    got = code.block([3.0, 4.0], ones, lambda x: list(x))
    why = "Each part reads rmsnorm(x)."
    yield Fact("what attention reads", seen, [rmsnorm([3.0, 4.0])], why)
    after = [4.0, 5.0]
    right = [a + b for a, b in zip(after, rmsnorm(after), strict=True)]
    why = (
        "Is it add(x, part(rmsnorm(x))) both times (+ would join two lists), and does the MLP read "
        "the x after attention?"
    )
    yield Fact("the example's block(...)", got, right, why)
    gpt: Gpt[float] = Gpt(CONFIG, init_weights(CONFIG, random.Random(3)))
    x, caches = [1.0, -2.0, 3.0, -4.0], (gpt.new_cache(), gpt.new_cache())
    got = code.block(x, lambda x: gpt.attention(x, 0, caches[0]), lambda x: gpt.mlp(x, 0))
    yield Fact("block(...) with attention and an MLP", got, gpt.block(x, 0, caches[1]), why)


def adam(code: Learner) -> Iterator[Fact]:
    """Check three steps against those of the reference engine, with settings and without."""
    given: dict[str, Any] = {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3}
    formula = "weight - lr * m_hat / (sqrt(v_hat) + eps)"
    first = f"Is it {formula}, with t = 1, eps outside, the given lr?"
    later = "Are self.m and self.v kept from step to step, without the correction?"
    for what, settings in (("Adam(3, 0.5, 0.9, 0.001)", given), ("Adam(3)", {})):
        engine = ReferenceEngine(CONFIG, init_weights(CONFIG, random.Random(4)), **settings)
        mine, weights = code.Adam(3, **settings), [param.data for param in engine.params[:3]]
        for step, gradients in enumerate(ADAM_GRADIENTS, 1):
            weights = mine.step(weights, gradients, lr=0.1)
            for param, gradient in zip(engine.params, gradients, strict=False):
                param.grad = gradient
            engine.update(0.1)
            right = [param.data for param in engine.params[:3]]
            why = first if step == 1 else later
            if not settings:
                why = "Are the defaults of beta1, beta2 and eps unchanged?"
            yield Fact(f"weights after step {step} of {what}", weights, right, why)


def schedule(code: Learner) -> Iterator[Fact]:
    """Check the straight line and the warm-up."""
    line = "It falls in a straight line. What is it in step 0, and in step `steps`?"
    rise = "In the warm-up, the rate of the straight line is multiplied by a factor."
    for warmup in (0, 4):
        for step in (0, 1, 3, 4, 5, 9):
            right = learning_rate(step, lr=0.02, steps=10, warmup_steps=warmup)
            what = f"learning_rate({step}, steps=10, lr=0.02, warmup={warmup})"
            yield code.fact(what, right, rise if step < warmup else line)
    yield code.fact("learning_rate(5, 10, 0.02)", 0.01, line)
    why = "Are steps, lr and warmup those that were given?"
    yield code.fact("learning_rate(1, 20, 0.1, 5)", 0.038, why)


def sampling(code: Learner) -> Iterator[Fact]:
    """Check single draws, and the tokens that `generate` reads and returns."""
    logits = [1.0, 3.0, 2.0]
    greedy = code.sample(logits, 0, random.Random(1))
    yield Fact("sample([1.0, 3.0, 2.0], 0, rng)", greedy, 1, "Which token is the likeliest?")
    for temperature in (0.5, 2.0):
        mine, rng = random.Random(5), random.Random(5)
        shares = softmax([logit / temperature for logit in logits])
        got = [code.sample(logits, temperature, mine) for _ in range(50)]
        why = "rng.choices returns a list of one; return the token in it."
        yield Fact("type(sample(...))", type(got[0]).__name__, "int", why)
        right = [rng.choices(range(3), weights=shares)[0] for _ in got]
        why = "Divide the logits by the temperature before softmax; draw once with rng.choices."
        yield Fact(f"50 draws at temperature {temperature}: draw", got, right, why)
    script, read = [2, 1, 0], list[list[int]]()

    def next_logits(tokens: list[int]) -> list[float]:
        read.append(list(tokens))
        return [9.0 * (i == script[min(len(tokens), 3) - 1]) for i in range(3)]

    got = code.generate(next_logits, 0, 10, 0, random.Random(1))
    why = "Each time, the model reads BOS and all tokens drawn so far."
    yield Fact("generate(...): what next_logits reads", read[:3], [[0], [0, 2], [0, 2, 1]], why)
    yield Fact("generate(...): the drawn tokens", got, [2, 1], "BOS is not among them.")
    got = code.generate(lambda tokens: [0.0, 9.0], 0, 3, 0, random.Random(1))
    yield Fact("generate(..., longest=3, ...)", got, [1, 1, 1], "Stop after 3 drawn tokens.")
    for temperature in (0.5, 5.0):
        shares, rng = softmax([logit / temperature for logit in logits]), random.Random(6)
        got = code.generate(lambda tokens: logits, 3, 30, temperature, random.Random(6))
        right = [rng.choices(range(3), weights=shares)[0] for _ in range(30)]
        why = "Does generate pass the temperature on?"
        yield Fact(f"generate(...) at temperature {temperature}", got, right, why)


# Questions for exceptions, by exercise.
ERRORS = {
    ("01_tokenizer", "IndexError"): "BOS has no character.",
    ("04_softmax", "OverflowError"): "Is the largest logit subtracted first?",
    ("06_rmsnorm", "ZeroDivisionError"): "Is 1e-5 added before the root is taken?",
    ("08_mlp", "TypeError"): "relu takes one number, not a list.",
    ("10_adam", "ZeroDivisionError"): "t is 1 in the first step.",
    ("11_schedule", "ZeroDivisionError"): "Without warm-up, the factor is 1.",
    ("12_sampling", "ZeroDivisionError"): "At temperature 0, return the likeliest token.",
}
CHECKS: dict[str, Callable[[Learner], Iterator[Fact]]] = {
    "01_tokenizer": tokenizer,
    "02_value": value,
    "03_backward": backward,
    "04_softmax": loss,
    "05_embedding": embedding,
    "06_rmsnorm": norm,
    "07_attention": attention,
    "08_mlp": mlp,
    "09_residual": residual,
    "10_adam": adam,
    "11_schedule": schedule,
    "12_sampling": sampling,
}


def check(name: str, namespace: dict[str, object]) -> Iterator[Fact]:
    """Check the definitions of a learner's file; raise Wrong if they cannot be used."""
    return CHECKS[name](Learner(namespace))
