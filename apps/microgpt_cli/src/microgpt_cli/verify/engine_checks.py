"""Check the gradients of both engines, and compare their results with Karpathy's run."""

import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import get_args

from microgpt import (
    DEFAULT_SEED,
    Architecture,
    ConfigError,
    DivergedError,
    DType,
    EngineName,
    InferenceGpt,
    PromptError,
    TrainConfig,
    bundled,
    check_usable,
    find_edited_sources,
    find_plugins,
    load_text,
    train,
)
from microgpt_cli.verify.gradient_check import (
    engine_error,
    expression_error,
    model_error,
    random_model,
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
