import pytest

from microgpt_evolution.objectives.fitness import loser_threshold, target


def test_the_target_loss_depends_on_the_kind_of_fitness() -> None:
    assert target("last-doc") == 1.2
    assert target("held-out", primordial=2.5) == pytest.approx(2.3)


@pytest.mark.parametrize(
    ("values", "n_losers"),
    [
        ([2.1], 0),
        ([2.1, 2.2, 9.0], 0),
        ([2.1, 2.2, 2.3, 2.4], 1),
        ([2.4, 2.3, 2.2, 2.1, 2.5, 2.6, 2.7], 1),
        ([2.4, 2.3, 2.2, 2.1, 2.5, 2.6, 2.7, 2.8], 2),
        ([2.2] * 8, 0),
        ([2.1] * 4 + [2.9] * 4, 0),
    ],
)
def test_the_loser_threshold_for_held_out_losses_is_a_quartile(values, n_losers) -> None:
    threshold = loser_threshold("held-out", values)
    assert sum(value > threshold for value in values) == n_losers
