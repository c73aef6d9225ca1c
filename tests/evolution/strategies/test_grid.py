import pytest

from microgpt import ModelConfig, TrainConfig
from microgpt.errors import MicrogptError
from microgpt_evolution.genome import Genome, values_of
from microgpt_evolution.strategies.grid import describe, differing, grid


def test_the_default_genome_has_the_library_defaults_except_lr() -> None:
    assert Genome().model(vocab_size=27) == ModelConfig(vocab_size=27)
    assert Genome().train_config(seed=42) == TrainConfig(lr=0.005)


def test_genomes_of_a_grid_are_described_by_the_settings_that_differ() -> None:
    first, second = Genome(n_embd=8, steps=21_000, lr=0.02), Genome(n_embd=8, n_layer=2)
    names = differing([first, second])
    assert names == ["n_layer", "steps", "lr"]
    assert describe(values_of(first, names)) == "n_layer 1, steps 21,000, lr 0.02"


def test_a_grid_contains_each_combination_of_values_once() -> None:
    configs, impossible = grid({"n_embd": [16, 32, 16], "lr": [0.005, 0.01]})
    assert configs == [
        Genome(n_embd=16), Genome(n_embd=16, lr=0.01),
        Genome(n_embd=32), Genome(n_embd=32, lr=0.01),
    ]  # fmt: skip
    assert impossible == []


def test_impossible_combinations_of_a_grid_are_skipped_with_a_note() -> None:
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
        ({"seed": [1, 2]}, "unknown setting 'seed'; use one of n_embd, "),
        ({"n_embd": [30], "n_head": [4, 7]}, "no combination of the grid is valid: n_embd 30, n_"),
        (dict.fromkeys(("n_embd", "n_layer", "lr"), range(1, 1001)), "at most 10,000 .*,000,000,"),
    ],
)
def test_an_invalid_or_too_large_grid_is_refused(axes, problem) -> None:
    with pytest.raises(MicrogptError, match=problem):
        grid(axes)
