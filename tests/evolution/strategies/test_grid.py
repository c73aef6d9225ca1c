import pytest

from microgpt import ModelConfig, TrainConfig, count_params
from microgpt.errors import MicrogptError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.strategies.grid import SETTINGS, SIZES, STEPS, describe, differing, grid


def test_the_default_sweep_config_matches_karpathys_run() -> None:
    assert Genome().model(vocab_size=27) == ModelConfig(vocab_size=27)
    assert Genome().train_config(seed=42) == TrainConfig(lr=0.005)


def test_configs_are_described_by_the_settings_that_differ() -> None:
    configs = [
        Genome(steps=21_000, lr=0.02),
        Genome(steps=21_000),
        Genome(steps=21_000, n_layer=2),
    ]
    assert differing(configs) == ["n_layer", "lr"]
    assert describe(values_of(configs[0], ["steps", "lr"])) == "steps 21,000, lr 0.02"


def test_each_setting_that_changes_what_is_learned_can_vary() -> None:
    assert {"n_embd", "architecture", "lr", "dropout", "init_std", "beta1", "dtype"} < {*SETTINGS}


def test_the_step_series_match_evolve_rust() -> None:
    assert STEPS["tripling"] == (1000, 3000, 9000)
    assert STEPS["fibonacci"] == (1000, 2000, 3000, 5000, 8000, 13_000, 21_000)


def test_the_three_model_sizes_have_the_stated_parameter_counts() -> None:
    """evolve-rust's scripts say 4,192, 16,480 and 201,088: the second is wrong."""
    counts = {name: count_params(config.model(vocab_size=27)) for name, config in SIZES.items()}
    assert counts == {"small": 4192, "medium": 26_816, "large": 201_088}
    assert {config.steps for config in SIZES.values()} == {5000}
    assert {config.lr for config in (Genome(steps=1000), *SIZES.values())} == {0.005}


def test_a_grid_contains_each_combination_once_in_order() -> None:
    configs, impossible = grid({"n_embd": [16, 32, 16], "lr": [0.005, 0.01]})
    assert configs == [
        Genome(n_embd=16), Genome(n_embd=16, lr=0.01),
        Genome(n_embd=32), Genome(n_embd=32, lr=0.01),
    ]  # fmt: skip
    assert impossible == []


def test_impossible_combinations_are_skipped_with_one_note() -> None:
    configs, impossible = grid({"n_embd": [30, 32], "n_head": [4, 5], "lr": [0.01, 0.02]})
    assert {(config.n_embd, config.n_head) for config in configs} == {(30, 5), (32, 4)}
    assert len(configs) == 4
    assert [line.split(";")[0] for line in impossible] == [
        f"n_embd {n_embd}, n_head {n_head}, lr 0.01 and 1 more: n_embd ({n_embd}) must be "
        f"divisible by n_head ({n_head})"
        for n_embd, n_head in ((30, 4), (32, 5))
    ]


@pytest.mark.parametrize(
    ("axes", "problem"),
    [
        ({"lr": ["fast"]}, "lr must be a number greater than 0, got 'fast'"),
        ({"width": [8]}, "unknown setting 'width'"),
        ({"optimizer": ["sgd", "muon"]}, "optimizer must be .* got 'sgd'"),
        ({"seed": [1, 2]}, "unknown setting 'seed'; use one of n_embd, "),
        ({"vocab_size": [1, 2]}, "unknown setting 'vocab_size'"),
        ({"n_embd": [30], "n_head": [4, 7]}, "no combination of the grid is valid: n_embd 30, n_"),
        (
            dict.fromkeys(("n_embd", "n_layer", "steps"), range(1, 1001)),
            "at most 10,000 .*,000,000,",
        ),
        ({"n_embd": []}, "n_embd must be a list of values, got"),
        ({"n_embd": "16,32"}, "n_embd must be a list of values, got"),
    ],
)
def test_an_impossible_grid_is_refused(axes, problem) -> None:
    with pytest.raises(MicrogptError, match=problem):
        grid(axes)


def test_a_note_on_a_combination_names_what_was_not_given() -> None:
    _, (line,) = grid({"n_embd": [16, 30]})
    assert line.startswith("n_embd 30: n_embd (30) must be divisible by n_head (4)")
    assert line.endswith("; all combinations have n_head 4, unless you vary it, too")
