"""Check the gradients of both engines, and compare their results with Karpathy's run.

Gradients are compared with finite differences on random expressions and small models.
"""

import hashlib
import json
import math
import operator
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, get_args

from microgpt import (
    DEFAULT_SEED,
    Architecture,
    ConfigError,
    DivergedError,
    Dropout,
    DType,
    EngineModule,
    EngineName,
    GptVariant,
    InferenceGpt,
    ModelConfig,
    Number,
    PromptError,
    ReferenceEngine,
    TokenDataset,
    TrainConfig,
    Value,
    Weights,
    bundled,
    by_name,
    check_usable,
    dot,
    exp,
    find_edited_sources,
    find_plugins,
    init_weights,
    load_text,
    log,
    relu,
    target_loss,
    total,
    train,
    weight_shapes,
)

KARPATHY = TrainConfig()  # the defaults are Karpathy's settings
REFERENCE_STEPS = 20  # default number of replayed steps on the slow reference engine
N_EXPRESSIONS, N_MODELS = 200, 20
GRADIENT_TOLERANCE = 1e-6  # relative error; finite differences are accurate to about 1e-8
# Tolerances for rounding errors: the engines sum in different orders, and float32 has 7 digits.
ENGINE_TOLERANCE: dict[DType, float] = {"float64": 1e-10, "float32": 1e-4}  # relative error
LOSS_TOLERANCE: dict[DType, float] = {"float64": 1e-9, "float32": 1e-5}  # error in nats
# What wrong numbers of a broken engine raise, for example because they overflow.
ENGINE_ERRORS = (ArithmeticError, ValueError, DivergedError, PromptError)
DIFFERENCE = 1e-5  # step size of central differences; the error is about DIFFERENCE**2 = 1e-10
NEGLIGIBLE = 1e-2  # gradients below this fraction of the largest gradient are mostly rounding error
DROPOUTS = 0.0, 0.3  # dropout rates of the model checks
N_LEAVES, N_STEPS = 3, 8  # number of inputs and operations of a random expression
ARITHMETIC = (operator.add, operator.sub, operator.mul, operator.truediv)
# All operations of `Value`, applied to numbers a and b and a constant c.
OPERATIONS: list[Callable[[Any, Any, float], Any]] = [
    *(lambda a, b, c, of=of: of(a, b) for of in ARITHMETIC),
    *(lambda a, b, c, of=of: of(a, c) for of in ARITHMETIC),
    *(lambda a, b, c, of=of: of(c, a) for of in ARITHMETIC),
    lambda a, b, c: a**c,
    lambda a, b, c: -a,
    lambda a, b, c: exp(a),
    lambda a, b, c: log(a),
    lambda a, b, c: relu(a),
    lambda a, b, c: dot([a, b, a], [b, b, a]),
    lambda a, b, c: total([a, b, a]),
]


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    outcome: str
    passed: bool


def run_checks(*, steps: int | None = None, engine: EngineName | None = None) -> Iterator[Check]:
    """Run the checks and yield the result of each.

    Args:
        steps: number of steps of Karpathy's run, 1 to 1,000. The default is 20 on the reference
            engine and 1,000 on the compiled engine. Generated names are compared only after 1,000
            steps.
        engine: the engine to check (default: compiled and reference).
    """
    if steps is not None and not 1 <= steps <= KARPATHY.steps:
        raise ConfigError(f"steps must be from 1 to {KARPATHY.steps}, got {steps}")
    has_compiled = "compiled" in find_plugins("engines")
    engines = [engine] if engine else ["reference", *(["compiled"] if has_compiled else [])]
    if engine == "compiled" and not has_compiled:
        check_usable(engine)
    golden = json.loads(bundled("karpathy_seed42.json").read_text(encoding="utf-8"))
    names = bundled("names.txt")
    intact = hashlib.sha256(names.read_bytes()).hexdigest() == golden["names_sha256"]
    yield Check("names.txt", "unchanged" if intact else f"{names} has changed", passed=intact)
    if edited := " and ".join(find_edited_sources()):
        outcome = f"found edits in {edited}, which only the reference engine has"
        yield Check("sources", outcome, passed=False)
    if "reference" in engines:
        yield from _check_reference_gradients()
        yield from _replay_karpathy("reference", "float64", steps or REFERENCE_STEPS)
    if "compiled" in engines:
        for dtype in get_args(DType)[::-1]:
            name = f"compiled {dtype}: loss and gradients of {N_MODELS} random models"
            rng = random.Random(DEFAULT_SEED)  # makes the checks reproducible
            errors = (engine_error(random_model(rng), rng, dtype) for _ in range(N_MODELS))
            yield _difference(name, errors, ENGINE_TOLERANCE[dtype])
            if edited:  # the run of other code says nothing about it
                continue
            yield from _replay_karpathy("compiled", dtype, steps or KARPATHY.steps)


def _check_reference_gradients() -> Iterator[Check]:
    rng, of = random.Random(DEFAULT_SEED), "reference: gradients of"
    errors = (expression_error(rng) for _ in range(N_EXPRESSIONS))
    yield _difference(f"{of} {N_EXPRESSIONS} random expressions", errors, GRADIENT_TOLERANCE)
    for architecture in get_args(Architecture):
        model = replace(random_model(rng), architecture=architecture)
        names = ("architecture", "n_embd", "n_head", "n_layer", "block_size")
        shape = ", ".join(f"{name} {getattr(model, name)}" for name in names)
        errors = (model_error(model, rng) for _ in range(1))
        yield _difference(f"{of} a random model ({shape})", errors, GRADIENT_TOLERANCE)


def _difference(name: str, errors: Iterable[float], limit: float) -> Check:
    try:
        worst = max(errors)
    except ENGINE_ERRORS as error:
        return Check(name, f"{type(error).__name__}: {error}", passed=False)
    outcome = f"largest difference {worst:.1e} (limit {limit:.0e})"
    return Check(name, outcome, passed=worst < limit)


def _replay_karpathy(engine: EngineName, dtype: DType, steps: int) -> Iterator[Check]:
    golden = json.loads(bundled("karpathy_seed42.json").read_text(encoding="utf-8"))
    name = engine if engine == "reference" else f"{engine} {dtype}"
    try:
        config = replace(KARPATHY, engine=engine, dtype=dtype, until=steps)
        result = train(load_text(bundled("names.txt")), config=config)
        samples = []
        if steps == KARPATHY.steps:
            model = InferenceGpt(result, engine=engine)
            samples = model.generate(len(golden["samples"]), rng=result.rng())
    except ENGINE_ERRORS as error:
        yield Check(f"{name}: Karpathy's run", f"{type(error).__name__}: {error}", passed=False)
        return
    taken = result.losses
    worst = max(abs(a - b) for a, b in zip(taken, golden["losses"], strict=False))
    limit = LOSS_TOLERANCE[dtype]
    yield Check(
        f"{name}: Karpathy's run, {len(taken)} of {KARPATHY.steps} steps",
        f"loss {taken[-1]:.4f}, largest difference {worst:.1e} (limit {limit:.0e})",
        passed=worst < limit and len(taken) == steps,
    )
    if steps == KARPATHY.steps:
        agreeing = sum(a == b for a, b in zip(samples, golden["samples"], strict=True))
        yield Check(
            f"{name}: Karpathy's names",
            f"{agreeing} of {len(samples)} agree",
            passed=agreeing == len(samples),
        )


def expression_error(rng: random.Random) -> float:
    """Return the largest relative gradient error of a random expression."""
    leaves = [rng.uniform(0.3, 2.0) for _ in range(N_LEAVES)]
    numbers = list(leaves)
    steps: list[tuple[Callable[[Any, Any, float], Any], int, int, float]] = []
    while len(steps) < N_STEPS:
        operation = rng.choice(OPERATIONS)
        i, j, c = rng.randrange(len(numbers)), rng.randrange(len(numbers)), rng.uniform(0.3, 2.0)
        try:
            number = operation(numbers[i], numbers[j], c)
        except (ValueError, ArithmeticError):
            continue  # the logarithm of a negative number is undefined
        # Finite differences are accurate only if the function is neither too steep nor too flat.
        if isinstance(number, float) and 0.1 < abs(number) < 10:
            steps.append((operation, i, j, c))
            numbers.append(number)

    def evaluate(numbers: list[Number]) -> Number:
        numbers = list(numbers)
        for operation, i, j, c in steps:
            numbers.append(operation(numbers[i], numbers[j], c))
        return dot(numbers, numbers)  # every operation has an effect

    values = [Value(leaf) for leaf in leaves]
    evaluate(values).backward()
    return worst_difference(leaves, [v.grad for v in values], lambda: evaluate(leaves))


def random_model(rng: random.Random) -> ModelConfig:
    """Return a random model shape that is small enough for finite differences."""
    n_head = rng.randint(1, 3)
    return ModelConfig(
        n_embd=n_head * rng.choice((2, 4)),
        n_head=n_head,
        n_layer=rng.randint(1, 2),
        block_size=rng.randint(4, 6),
        n_ff_exp=rng.randint(1, 3),
        vocab_size=rng.randint(4, 7),
        init_std=0.5,
        architecture=rng.choice(get_args(Architecture)),
    )


def model_error(model: ModelConfig, rng: random.Random) -> float:
    """Return the largest relative gradient error of a model's loss on random tokens and targets."""
    weights = init_weights(model, rng)
    tokens = [rng.randrange(model.vocab_size) for _ in range(model.block_size + 1)]
    targets = [rng.choice((token, _distribution(model, rng))) for token in tokens[1:]]
    engine = ReferenceEngine(model, weights, gpt_type=GptVariant)
    drop = Dropout(rng.choice(DROPOUTS), seed=rng.randrange(9), n_read=rng.randrange(9))
    on_values = GptVariant(model, engine.gpt.weights).with_dropout(drop)
    target_loss(on_values, tokens, targets).backward()
    grads = iter(param.grad for param in engine.params)
    gpt = GptVariant(model, weights).with_dropout(drop)
    return max(
        worst_difference(row, [next(grads) for _ in row], lambda: target_loss(gpt, tokens, targets))
        for name in weight_shapes(model)
        for row in weights[name]
    )


def engine_error(model: ModelConfig, rng: random.Random, dtype: DType) -> float:
    """Return the largest error of the compiled engine's loss and gradients on random documents.

    The reference engine gives the expected values. Errors are relative to the loss, or to the
    largest gradient of each matrix.
    """
    import numpy as np

    from microgpt import engine_module, plugin

    lengths = [rng.randint(2, model.block_size + 1) for _ in range(rng.randint(1, 4))]
    docs = [[rng.randrange(model.vocab_size) for _ in range(length)] for length in lengths]
    masks = [bytes([*rng.choices((0, 1), k=n - 1), i == 0]) for i, n in enumerate(lengths)]
    dataset = TokenDataset()
    for doc, mask in zip(docs, masks, strict=True):
        dataset.append(doc, mask)
    if rng.random() < 0.5:
        rows = [_distribution(model, rng) for _ in range(sum(lengths) - len(docs))]
        dataset.soft_targets = np.array(rows, np.float32)
    config = TrainConfig(batch_size=len(docs), dropout=rng.choice(DROPOUTS), seed=rng.randrange(9))
    matrices = init_weights(model, rng).values()
    numbers = [number for rows in matrices for row in rows for number in row]

    def backward(engine: EngineModule, dtype: DType) -> tuple[float, Weights[float]]:
        settings = replace(config, dtype=dtype)
        made = engine.make_engine(model, settings, dataset, random.Random(0), 1)
        made.set_weights(numbers)
        return made.backward(lambda: False), by_name(model, made.grads().tolist())

    expected_loss, expected = backward(engine_module("reference"), "float64")
    compiled = plugin("engines", "compiled")  # sources may be edited
    assert compiled
    loss, found = backward(compiled, dtype)
    errors = [abs(loss / expected_loss - 1)]
    largest = max(abs(grad) for rows in expected.values() for row in rows for grad in row)
    for name, matrix in expected.items():
        wanted = [*chain.from_iterable(matrix)]
        scale = max(largest * NEGLIGIBLE, *map(abs, wanted)) or 1.0  # 0 if autograd is broken
        grads = chain.from_iterable(found[name])
        errors += [abs(a - b) / scale for a, b in zip(wanted, grads, strict=True)]
    return max(error if math.isfinite(error) else math.inf for error in errors)


def _distribution(model: ModelConfig, rng: random.Random) -> list[float]:
    """Return random probabilities for all tokens."""
    weights = [rng.random() for _ in range(model.vocab_size)]
    return [weight / sum(weights) for weight in weights]


def worst_difference(
    numbers: list[float], grads: Sequence[float], evaluate: Callable[[], float]
) -> float:
    """Return the largest gradient error, relative to max(1, |central difference|).

    Args:
        numbers: inputs of `evaluate`; each input is temporarily changed.
        grads: derivative of `evaluate` with respect to each input.
    """
    worst = 0.0
    for i, number in enumerate(numbers):
        numbers[i] = number + DIFFERENCE
        above = evaluate()
        numbers[i] = number - DIFFERENCE
        below = evaluate()
        numbers[i] = number
        slope = (above - below) / (2 * DIFFERENCE)
        error = abs(grads[i] - slope) / max(1.0, abs(slope))
        worst = max(worst, error if math.isfinite(error) else math.inf)
    return worst
