import pytest

from microgpt.errors import ConfigError
from microgpt.model import count_params
from microgpt_evolution.sweep.config import SweepConfig
from microgpt_evolution.sweep.grid import SIZES, grid, steps_points


def test_the_sets_of_steps_are_those_of_evolve_rust() -> None:
    tripling, fibonacci = steps_points("tripling"), steps_points("fibonacci")
    assert [point.steps for point in tripling] == [1000, 3000, 9000]
    assert [point.steps for point in fibonacci] == [
        1000, 2000, 3000, 5000, 8000, 13_000, 21_000,
    ]  # fmt: skip
    assert {
        point.describe(["n_embd", "n_head", "n_layer"]) for point in (*tripling, *fibonacci)
    } == {"n_embd 16, n_head 4, n_layer 1"}


def test_the_three_sizes_have_as_many_parameters_as_they_have() -> None:
    """The source's scripts say 4,192, 16,480 and 201,088: the second is wrong."""
    counts = {name: count_params(point.model(vocab_size=27)) for name, point in SIZES.items()}
    assert counts == {"small": 4192, "medium": 26_816, "large": 201_088}
    assert {point.steps for point in SIZES.values()} == {5000}


def test_a_grid_has_every_combination_once_and_the_last_setting_varies_fastest() -> None:
    found = grid({"n_embd": [16, 32, 16], "lr": [0.01, 0.005]})
    assert found.points == (
        SweepConfig(n_embd=16), SweepConfig(n_embd=16, lr=0.005),
        SweepConfig(n_embd=32), SweepConfig(n_embd=32, lr=0.005),
    )  # fmt: skip
    assert found.impossible == ()


def test_impossible_combinations_are_left_out_and_told_once() -> None:
    found = grid({"n_embd": [30, 32], "n_head": [4, 5], "lr": [0.01, 0.02]})
    assert {(point.n_embd, point.n_head) for point in found.points} == {(30, 5), (32, 4)}
    assert len(found.points) == 4
    assert [line.split(";")[0] for line in found.impossible] == [
        "n_embd (30) must be divisible by n_head (4)",
        "n_embd (32) must be divisible by n_head (5)",
    ]


def test_a_grid_of_which_nothing_is_possible_is_refused() -> None:
    with pytest.raises(ConfigError, match="no point of the grid is possible: n_embd"):
        grid({"n_embd": [30], "n_head": [4, 7]})


def test_a_grid_that_a_slip_has_made_huge_is_refused_before_it_is_made() -> None:
    with pytest.raises(ConfigError, match="at most 10,000 combinations, got 1,000,000,000"):
        grid({name: range(1, 1001) for name in ("n_embd", "n_layer", "steps")})
