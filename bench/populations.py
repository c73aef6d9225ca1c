"""Measure organisms per second: models trained one after another, and together.

An organism is Karpathy's model of names with 4,192 weights: 1,000 steps of one document, and the
held-out loss of 2,993 names. Organisms differ in their seed and learning rate. They are trained by
the compiled engine on one core, by JAX one after another, and by JAX together in populations of
growing size, as `sweep --device` trains them. The ways alternate. JAX's time to compile is not
counted. Prints organisms per second, and how many times as many as on one core with the compiled
engine; and the time that the host takes for each member, such as to encode documents and to measure
the held-out loss, which limits a faster device.

    uv run python bench/populations.py [--device gpu] [--rounds 3] [--most 1024]
"""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import jax
from harness import in_turns, parsed, pin, store, timed
from machine import machine
from tables import Rows, of_machines

from microgpt.data.documents import bundled, load_text
from microgpt.data.split import split
from microgpt.jax_engine.population import JaxPopulation
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.objectives.loss_objective import LossObjective
from microgpt_evolution.organism import Evaluation, Trial

SIZES = (1, 8, 64, 256, 1024)
STEPS = 1000
ALONE = 4  # organisms that are trained one after another in a round
GENOME = replace(PRIMORDIAL, steps=STEPS)


def main() -> None:
    """Time each way, print a table and write the results."""
    options = parsed(__doc__, device="cpu", rounds=3, most=1024)
    if options.device == "cpu":
        pin()
    objective = LossObjective.of(split(load_text(bundled("names.txt")), validation=0.1, test=0.1))
    sizes = [size for size in SIZES if size <= options.most]

    def trials(n: int) -> list[Trial]:
        return [Trial(replace(GENOME, lr=0.002 + 0.008 * i / n), i) for i in range(n)]

    def on_a_core() -> list[Evaluation]:
        return [objective.measure(trial.config, trial.seed) for trial in trials(ALONE)]

    def together(size: int) -> list[Evaluation]:
        group = trials(size)
        models = objective.train_together(group, options.device, None)
        return [
            objective.measure(each.config, each.seed, None, model)
            for each, model in zip(group, models, strict=True)
        ]

    calls: dict[str, Callable] = {"compiled, one core": on_a_core}
    calls |= {f"JAX, {size:,} together": lambda size=size: together(size) for size in sizes}
    counts = dict(zip(calls, [ALONE, *sizes], strict=True))
    host = host_seconds(lambda: together(sizes[-1]))
    seconds = in_turns(calls, options.rounds)
    found = {
        "machine": f"{machine()}; JAX {jax.__version__} on {jax.devices(options.device)[0]}",
        "rates": {each: counts[each] / seconds[each] for each in calls},
        "host": host / sizes[-1],
    }
    print(TABLES["populations"](store("populations", found, options)))


def host_seconds(call: Callable[[], object]) -> float:
    """Return the seconds of a call that it does not spend on steps on the device."""
    spent, take_steps = 0.0, JaxPopulation._take_steps

    def clocked(members: JaxPopulation, n: int) -> object:
        nonlocal spent
        started = perf_counter()
        taken = take_steps(members, n)
        spent += perf_counter() - started
        return taken

    call()  # compiles
    JaxPopulation._take_steps = clocked
    total = timed(call)
    JaxPopulation._take_steps = take_steps
    return total - spent


def population_rows(found: dict) -> Rows:
    """Return a row for each way."""
    base = found["rates"]["compiled, one core"]
    rows = [[way, f"{rate:,.1f}", f"{rate / base:.2f} ×"] for way, rate in found["rates"].items()]
    return [*rows, ["time of the host per organism", f"{1e3 * found['host']:.1f} ms", ""]]


TABLES = {"populations": of_machines(["", "organisms per second", ""], population_rows)}

if __name__ == "__main__":
    main()
