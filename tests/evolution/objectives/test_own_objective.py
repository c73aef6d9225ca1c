"""An objective of the user: resumed, and safe against failures."""

import math
import os
import sys
import threading
import time
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from searches import DOCS

from microgpt import train
from microgpt.errors import ConfigError
from microgpt_evolution import Genome, evolve
from microgpt_evolution.evolution_errors import NoWinnerError
from microgpt_evolution.objectives.objective import evaluate
from microgpt_evolution.trial import RECORD, Trial, TrialRecord

SMALL = {"population": 4, "generations": 2, "seed": 3}


def size(genome: Genome) -> float:
    return genome.n_embd * genome.n_layer


def test_evolve_minimises_a_custom_function_of_the_genome() -> None:
    found = evolve(DOCS, objective=size, **SMALL)
    values = {
        line.id: line.value for line in found.study.records if line.value and line.id != "g0-0"
    }
    assert found.value == size(found.genome) == min(values.values())
    assert found.record.fitness == "own"
    assert found.record.loss == found.fresh[0].last_loss  # the search trained no model
    assert f"value {found.value:.4g}" in repr(found)


class Loud:
    """A value whose representation ends the program."""

    def __repr__(self) -> str:
        sys.exit(3)


def raising(error: BaseException):
    def raises(genome) -> float:
        raise error

    return raises


def hangs(genome: object) -> float:
    time.sleep(60)
    return 0.0


def leaves_a_thread(genome) -> float:
    threading.Thread(target=time.sleep, args=(60,)).start()
    return 2.0


def trains(genome) -> float:
    return train(DOCS, model=genome.model(), config=genome.train_config(1)).losses[-1]


VALUES = {
    "a Fraction": (Fraction(1, 4), 0.25),
    "a NumPy scalar": (np.float32(1.5), 1.5),
    "10**5000": (10**5000, "raised OverflowError"),
    "nan": (math.nan, "returned nan"),
    "a Decimal": (Decimal("0.5"), "must return a number, got Decimal('0.5')"),
    "True": (True, "must return a number, got True"),
    "an array of one number": (np.ones(1), "must return a number, got array"),
    "a value that cannot be shown": (Loud(), "raised SystemExit"),
}
ACTIONS = {
    "KeyboardInterrupt": (raising(KeyboardInterrupt()), "raised KeyboardInterrupt"),
    "sys.exit": (lambda genome: sys.exit("enough"), "raised SystemExit: enough"),
    "an odd text": (raising(OSError("no\n\udcff")), "raised OSError: no ?"),
    "a long text": (raising(OSError("no " * 10**6)), "raised OSError: no no"),
    "a warning": (lambda genome: warnings.warn("no", stacklevel=1), "raised UserWarning"),
    "no argument": (lambda: 1.0, "it is called as <lambda>(…)"),
    "a thread that is left": (leaves_a_thread, 2.0),
    "a call of train": (trains, 3.0),
}


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        *[(lambda genome, value=value: value, expected) for value, expected in VALUES.values()],
        *ACTIONS.values(),
    ],
    ids=[*VALUES, *ACTIONS],
)
def test_whatever_a_function_does_ends_as_a_record(function, expected) -> None:
    genome = Genome(n_embd=8, n_head=2, steps=20)
    found = evaluate(function, genome)
    record = TrialRecord.join(Trial(genome, 1), found, flops=1, n_params=1)
    assert RECORD.validate_json(RECORD.dump_json(record, exclude_defaults=True)) == record
    if isinstance(expected, float):
        assert found.status == "ok"
        assert found.value == pytest.approx(expected, abs=1 if function is trains else 0)
    else:
        assert found.status in ("crashed", "diverged")
        assert expected in found.reason
        assert "\n" not in found.reason
        assert len(found.reason) < 400


def test_a_search_goes_on_after_its_function_fails(tmp_path, monkeypatch) -> None:
    """At once, and in its directory: an interrupt in the function is not one of the search."""
    monkeypatch.chdir(tmp_path)

    def function(genome: Genome) -> float:
        os.chdir("/")
        if genome.n_layer > 1:
            raise KeyboardInterrupt
        return genome.lr

    with pytest.warns(UserWarning, match="has no value: function raised KeyboardInterrupt"):
        found = evolve(DOCS, objective=function, run_dir="run", **SMALL)
    assert found.genome.n_layer == 1
    assert (tmp_path / "run" / "genome.json").is_file()


def test_a_search_whose_function_always_fails_has_no_winner() -> None:
    no_winner = "no training run completed: "
    with (
        pytest.warns(UserWarning, match="must return a number, got True"),
        pytest.raises(NoWinnerError, match=no_winner),
    ):
        evolve(DOCS, objective=lambda model: True, **SMALL)


def test_a_hanging_function_is_abandoned_or_stopped() -> None:
    found = evaluate(hangs, object(), should_stop=lambda: True)
    assert (found.status, found.reason) == ("crashed", "hangs was stopped")


def test_fitness_cannot_be_combined_with_a_function() -> None:
    with pytest.raises(ConfigError, match="fitness cannot be used with a function"):
        evolve(DOCS, objective=size, fitness="last-doc")
