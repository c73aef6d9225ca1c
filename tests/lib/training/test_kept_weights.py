import pytest

from microgpt import TrainConfig
from microgpt.training.kept_weights import BestWeights, ending, keep_best


def test_weights_with_a_lower_loss_replace_the_best_weights() -> None:
    first = keep_best(None, 10, 2.5, [1.0])
    assert keep_best(first, 20, 2.4, [2.0]) == BestWeights(20, 2.4, [2.0], 20, n_worse=0)


@pytest.mark.parametrize("val_loss", [2.5, 2.6])
def test_a_loss_that_is_not_lower_is_counted_as_worse(val_loss) -> None:
    best = keep_best(keep_best(None, 10, 2.5, [1.0]), 20, val_loss, [2.0])
    assert best == BestWeights(10, 2.5, [1.0], 20, n_worse=1)
    assert keep_best(best, 30, val_loss, [3.0]).n_worse == 2
    assert keep_best(best, 30, 2.0, [3.0]).n_worse == 0


@pytest.mark.parametrize(
    ("step", "n_worse", "patience", "expected"),
    [
        (99, 3, None, None),
        (99, 2, 3, None),
        (99, 3, 3, "patience"),
        (100, 3, 3, "steps"),
        (100, 0, None, "steps"),
    ],
)
def test_a_run_ends_after_its_steps_or_when_patience_runs_out(
    step, n_worse, patience, expected
) -> None:
    best = BestWeights(10, 2.5, [1.0], 90, n_worse)
    assert ending(step, best, TrainConfig(steps=100, patience=patience)) == expected


def test_patience_has_no_effect_without_a_held_out_set() -> None:
    assert ending(1, None, TrainConfig(steps=100, patience=1)) is None
