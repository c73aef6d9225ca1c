"""An objective of the user: minimised, and safe against failures."""

import sys

import pytest
from searches import DOCS

from microgpt.errors import ConfigError
from microgpt_evolution import evolve
from microgpt_evolution.evolution_errors import NoWinnerError

SMALL = {"population": 4, "generations": 2, "seed": 3}


def size(model) -> float:
    return model.config.n_embd * model.config.n_layer


def test_evolve_minimises_a_custom_function_of_the_model() -> None:
    found = evolve(DOCS, objective=size, **SMALL)
    values = {
        line.id: line.value for line in found.study.records if line.value and line.id != "g0-0"
    }
    assert found.value == found.genome.n_embd * found.genome.n_layer == min(values.values())
    assert found.record.fitness == "own"
    assert f"value {found.value:.4g}" in repr(found)


def test_a_search_goes_on_after_its_function_fails(tmp_path) -> None:
    """An interrupt in the function is not one of the search."""

    def function(model) -> float:
        if model.config.n_layer > 1:
            raise KeyboardInterrupt
        return 1.0

    with pytest.warns(UserWarning, match="has no value: KeyboardInterrupt"):
        found = evolve(DOCS, objective=function, run_dir=tmp_path / "run", **SMALL)
    assert found.genome.n_layer == 1
    assert (tmp_path / "run" / "genome.json").is_file()


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda model: float("nan"), "returned nan, which is no finite number"),
        (lambda model: "much", "could not convert string to float: 'much'"),
        (lambda model: sys.exit("enough"), "SystemExit: enough"),
    ],
)
def test_a_search_whose_function_always_fails_has_no_winner(function, problem) -> None:
    with (
        pytest.warns(UserWarning, match=problem),
        pytest.raises(NoWinnerError, match=f"no training run completed: .*{problem}"),
    ):
        evolve(DOCS, objective=function, **SMALL)


def test_fitness_cannot_be_combined_with_a_function() -> None:
    with pytest.raises(ConfigError, match="fitness cannot be used with a function"):
        evolve(DOCS, objective=size, fitness="last-doc")
