"""Check that this installation computes correct gradients and reproduces Karpathy's run."""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

from microgpt import (
    ConfigError,
    DivergedError,
    DType,
    EngineName,
    Gpt,
    InferenceGpt,
    ModelConfig,
    PromptError,
    ReferenceEngine,
    TrainConfig,
    bundled,
    engine_module,
    find_edited_sources,
    find_plugins,
    init_weights,
    load_text,
    target_loss,
    train,
    weight_shapes,
)

KARPATHY = TrainConfig()  # the defaults are Karpathy's settings
REFERENCE_STEPS = 20  # default number of replayed steps on the slow reference engine
EMMA = [26, 4, 12, 12, 0, 26]  # the tokens of "emma", the first line of names.txt
N_WEIGHTS = 100  # number of weights whose gradients are checked
DIFFERENCE = 1e-5  # step size of central differences; the error is about DIFFERENCE**2 = 1e-10
GRADIENT_TOLERANCE = 1e-6
# Tolerances for rounding errors: engines sum in different orders; float32 has 7 significant digits.
LOSS_TOLERANCE: dict[DType, float] = {"float64": 1e-9, "float32": 1e-5}  # maximum error in nats
# Exceptions that wrong results of a broken engine can cause, for example by an overflow.
ENGINE_ERRORS = (ArithmeticError, ValueError, DivergedError, PromptError)


@dataclass(frozen=True)
class Check:
    """A check of the installation: its name, its outcome as text, and whether it passed."""

    name: str
    outcome: str
    passed: bool


def run_checks(*, steps: int | None = None, engine: EngineName | None = None) -> Iterator[Check]:
    """Yield checks of names.txt, of the sources, and of engines, which replay Karpathy's run."""
    if steps is not None and not 1 <= steps <= KARPATHY.steps:
        raise ConfigError(f"steps must be from 1 to {KARPATHY.steps}, got {steps}")
    edited = " and ".join(find_edited_sources())
    if engine == "compiled" and not edited:
        engine_module(engine)  # raises an error if the engine is not installed
    golden = json.loads(bundled("karpathy_seed42.json").read_text(encoding="utf-8"))
    names = bundled("names.txt")
    intact = hashlib.sha256(names.read_bytes()).hexdigest() == golden["names_sha256"]
    yield Check("names.txt", "unchanged" if intact else f"{names} has changed", passed=intact)
    if edited:
        outcome = f"found edits in {edited}, which only the reference engine implements"
        yield Check("sources", outcome, passed=False)
    runs: list[tuple[EngineName, DType, int]] = []
    if engine != "compiled":
        yield _checked(f"reference: gradients of {N_WEIGHTS} weights", _compare_gradients)
        runs.append(("reference", "float64", steps or REFERENCE_STEPS))
    if engine != "reference" and "compiled" in find_plugins("engines") and not edited:
        runs += [("compiled", dtype, steps or KARPATHY.steps) for dtype in get_args(DType)[::-1]]
    for each, dtype, until in runs:
        config = replace(KARPATHY, engine=each, dtype=dtype, until=until)
        what = f"{each} {dtype}: Karpathy's run, {until} of {KARPATHY.steps} steps"
        yield _checked(what, partial(_compare_run, golden, config))


def _checked(name: str, compare: Callable[[], tuple[str, bool]]) -> Check:
    """Run a comparison and return it as a check, which fails if the engine raises an error."""
    try:
        return Check(name, *compare())
    except ENGINE_ERRORS as error:
        return Check(name, f"{type(error).__name__}: {error}", passed=False)


def _compare_gradients() -> tuple[str, bool]:
    """Compare gradients of the loss on "emma" with central differences, for a sample of weights."""
    model, rng = ModelConfig(vocab_size=27), random.Random(KARPATHY.seed)
    weights = init_weights(model, rng)
    engine, gpt = ReferenceEngine(model, weights), Gpt(model, weights)
    engine.backward([EMMA])
    rows = [row for name in weight_shapes(model) for row in weights[name]]
    places = [(row, i) for row in rows for i in range(len(row))]
    differences = []
    for n in rng.sample(range(len(places)), N_WEIGHTS):
        row, i = places[n]
        weight, losses = row[i], list[float]()
        for difference in (DIFFERENCE, -DIFFERENCE):
            row[i] = weight + difference
            losses.append(target_loss(gpt, EMMA, EMMA[1:]) / (len(EMMA) - 1))
        row[i] = weight
        slope = (losses[0] - losses[1]) / (2 * DIFFERENCE)
        differences.append(abs(engine.params[n].grad - slope))
    outcome = f"largest difference {max(differences):.1e} (limit {GRADIENT_TOLERANCE:.0e})"
    return outcome, all(each < GRADIENT_TOLERANCE for each in differences)


def _compare_run(golden: dict[str, Any], config: TrainConfig) -> tuple[str, bool]:
    assert config.dtype
    result = train(load_text(bundled("names.txt")), config=config)
    limit = LOSS_TOLERANCE[config.dtype]
    pairs = zip(result.losses, golden["losses"], strict=False)
    worst = max(abs(loss - expected) for loss, expected in pairs)
    outcome = f"loss {result.losses[-1]:.4f}, largest difference {worst:.1e} (limit {limit:.0e})"
    passed = worst < limit and len(result.losses) == config.until
    if config.until == KARPATHY.steps:
        model, names = InferenceGpt(result, engine=config.engine), golden["samples"]
        samples = model.generate(len(names), rng=result.rng())
        n_same = sum(a == b for a, b in zip(samples, names, strict=True))
        outcome += f"; Karpathy's names: {n_same} of {len(names)} agree"
        passed = passed and n_same == len(names)
    return outcome, passed
