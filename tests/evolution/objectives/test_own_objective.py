"""An objective of the user: resumed, and safe against failures."""

import math
import time
from threading import Event

import pytest

from microgpt import InferenceGpt
from microgpt.errors import ConfigError
from microgpt_evolution import Genome, evolve
from microgpt_evolution.errors import NoWinnerError, StoppedError
from microgpt_evolution.objectives.own_objective import OwnFunction
from microgpt_evolution.sweep.grid_sweep import sweep

DOCS = [a + b + c + d for a in "aeiou" for b in "mnrst" for c in "aeo" for d in ["", "l", "nn"]]
SMALL = {"population": 4, "generations": 2, "seed": 3}


def size(genome: Genome) -> float:
    return genome.n_embd * genome.n_layer


def vowels(model: InferenceGpt) -> float:
    """Return the negative share of vowels in samples."""
    text = "".join(model.generate(20, seed=1))
    return -sum(letter in "aeiou" for letter in text) / max(1, len(text))


def raises(genome: Genome) -> float:
    raise RuntimeError("no luck")


def sometimes_nan(genome: Genome) -> float:
    return math.nan if genome.n_layer > 1 else genome.lr


def returns_text(genome: Genome) -> str:
    return "small"


def hangs(genome: object) -> float:
    time.sleep(60)
    return 0.0


def width(genome: object) -> float:
    return genome.n_embd


def test_evolve_minimises_a_custom_function_of_the_genome() -> None:
    found = evolve(DOCS, objective=size, **SMALL)
    values = {line.id: line.fitness for line in found.run.lines if line.id != "g0-0"}
    assert found.value == size(found.genome) == min(values.values())
    assert found.record.fitness == "own"
    assert found.record.loss == found.retest.last_losses[0]  # the search trained no model
    assert f"value {found.value:.4g}" in repr(found)


def test_a_search_with_a_custom_function_can_be_resumed(tmp_path) -> None:
    found = evolve(DOCS, objective=vowels, workers=2, **SMALL)
    stop = Event()

    def stop_soon(event) -> None:
        if event.n_done == 2 and event.generation == 1:
            stop.set()

    run = {"objective": vowels, "workers": 1, "run_dir": tmp_path / "run", **SMALL}
    with pytest.raises(StoppedError):
        evolve(DOCS, on_event=stop_soon, should_stop=stop, **run)
    again = evolve(DOCS, **run)
    assert (again.genome, again.value) == (found.genome, found.value)
    assert again.record.loss == found.winner.found.last_loss
    with pytest.raises(ConfigError, match=r"is .*, but the run in .* has .*; use another run_dir"):
        evolve(DOCS, **(run | {"objective": "loss"}))


def test_a_search_continues_after_its_function_fails() -> None:
    with pytest.warns(UserWarning, match=r"has no value: sometimes_nan returned nan"):
        found = evolve(DOCS, objective=sometimes_nan, **SMALL)
    assert found.genome.n_layer == 1


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (raises, "raises raised RuntimeError: no luck"),
        (returns_text, "returns_text must return a number, got 'small'"),
    ],
)
def test_a_search_whose_function_always_fails_has_no_winner(function, problem) -> None:
    no_winner = "the objective returned no value for any organism; see the warnings"
    with pytest.warns(UserWarning, match=problem), pytest.raises(NoWinnerError, match=no_winner):
        evolve(DOCS, objective=function, **SMALL)


def test_a_hanging_function_is_abandoned_or_stopped() -> None:
    found = OwnFunction(hangs, max_seconds=0.2).evaluate(object(), None)
    assert (found.status, found.reason) == ("crashed", "hangs has not returned after 0.2 s")
    assert OwnFunction(hangs).evaluate(object(), lambda: True).reason == "stopped"


def interrupts(genome) -> float:
    raise KeyboardInterrupt


def too_large(genome) -> int:
    return 10**400


@pytest.mark.parametrize("function", [interrupts, too_large])
def test_whatever_a_function_does_ends_as_a_record(function) -> None:
    found = OwnFunction(function, max_seconds=30).evaluate(object(), None)
    assert found.status in ("crashed", "diverged")
    assert function.__name__ in found.reason
    assert "30 s" not in found.reason


def test_fitness_cannot_be_combined_with_a_function() -> None:
    with pytest.raises(ConfigError, match="fitness cannot be used with a function"):
        evolve(DOCS, objective=size, fitness="last-doc")


def test_a_sweep_can_measure_a_custom_function(tmp_path) -> None:
    axes = {"n_embd": [8, 16], "steps": [20]}
    run = {"objective": vowels, "seeds": 2, "run_dir": tmp_path / "run"}
    found = sweep(DOCS, axes, **run)
    assert [(each.genome.n_embd, each.seed) for each in found] == [
        (8, 42), (8, 43), (16, 42), (16, 43)
    ]  # fmt: skip
    assert all(-1 <= each.value <= 0 < each.val_loss for each in found)
    assert sweep(DOCS, axes, workers=1, **run) == found
    by_genome = sweep(DOCS, axes, objective=width, seeds=1)
    assert [each.value for each in by_genome] == [8, 16]
    with pytest.raises(ConfigError, match=r"is .*, but the run in .* has .*; use another run_dir"):
        sweep(DOCS, axes, **(run | {"objective": None}))


def test_a_sweep_with_a_budget_varies_the_chosen_settings() -> None:
    first, *others = sweep(DOCS, {"lr": [0.001, 0.02]}, budget=3e8, seeds=1)
    assert len(others) == 2
    assert {each.genome.n_embd for each in others} == {first.genome.n_embd}
    assert [each.genome.lr for each in others] == [0.001, 0.02]
    assert all(each.val_loss > 0 for each in (first, *others))
