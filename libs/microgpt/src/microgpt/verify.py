"""The proof that the arithmetic is right, for anyone to repeat.

Gradients against finite differences, on random expressions and on a random small model; and
Karpathy's run, loss by loss and name by name. This module knows nothing of how it is shown.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from microgpt.config import DEFAULT_SEED, TrainConfig
from microgpt.data import bundled, load_text
from microgpt.errors import ConfigError
from microgpt.gradcheck import expression_error, model_error, random_model
from microgpt.inference import InferenceGpt
from microgpt.state import TrainEvent
from microgpt.train import train

KARPATHY = TrainConfig()  # the defaults are his
N_EXPRESSIONS = 200
GRADIENT_TOLERANCE = 1e-6  # relative; the differences themselves are good to about 1e-8
LOSS_TOLERANCE = 1e-9  # nats; only the rounding of another order of additions may differ


@dataclass(frozen=True)
class Check:
    """One thing that was checked: what, how it came out, and whether that is good enough."""

    name: str
    outcome: str
    passed: bool


def run_checks(
    *, steps: int, on_event: Callable[[TrainEvent], None] | None = None
) -> Iterator[Check]:
    """Yield each check as it is done.

    Args:
        steps: how much of Karpathy's run is replayed: 1 to 1,000 steps; his twenty names are
            compared too when it is all of it.
        on_event: is called while the run is replayed.

    Raises:
        ConfigError: steps is outside its range.
    """
    if not 1 <= steps <= KARPATHY.steps:
        raise ConfigError(f"steps must be 1 to {KARPATHY.steps}, got {steps}")
    rng = random.Random(DEFAULT_SEED)  # the same checks each time
    worst = max(expression_error(rng) for _ in range(N_EXPRESSIONS))
    yield _gradient_check(f"gradients of {N_EXPRESSIONS} random expressions", worst)
    model = random_model(rng)
    yield _gradient_check(
        f"gradients of a random model ({model.n_embd}/{model.n_head}/{model.n_layer}/"
        f"{model.block_size})",
        model_error(model, rng),
    )
    yield from _replay_karpathy(steps, on_event)


def _gradient_check(name: str, error: float) -> Check:
    outcome = f"largest difference {error:.1e} (limit {GRADIENT_TOLERANCE:.0e})"
    return Check(name, outcome, passed=error < GRADIENT_TOLERANCE)


def _replay_karpathy(steps: int, on_event: Callable[[TrainEvent], None] | None) -> Iterator[Check]:
    golden = json.loads(bundled("karpathy_seed42.json").read_text(encoding="utf-8"))
    names = bundled("names.txt")
    intact = hashlib.sha256(names.read_bytes()).hexdigest() == golden["names_sha256"]
    yield Check("names.txt", "as he had it" if intact else f"{names} was changed", passed=intact)
    asked = count()  # should_stop is asked once a step
    result = train(
        load_text(names),
        config=KARPATHY,
        on_event=on_event,
        should_stop=lambda: next(asked) >= steps,
    )
    worst = max(abs(a - b) for a, b in zip(result.losses, golden["losses"], strict=False))
    yield Check(
        f"Karpathy's run, {len(result.losses)} of {KARPATHY.steps} steps",
        f"loss {result.losses[-1]:.4f}, "
        f"largest difference {worst:.1e} (limit {LOSS_TOLERANCE:.0e})",
        passed=worst < LOSS_TOLERANCE and len(result.losses) == steps,
    )
    if steps == KARPATHY.steps:
        samples = InferenceGpt(result).generate(len(golden["samples"]), rng=result.rng())
        agreeing = sum(a == b for a, b in zip(samples, golden["samples"], strict=True))
        yield Check(
            "Karpathy's names",
            f"{agreeing} of {len(samples)} agree",
            passed=agreeing == len(samples),
        )
