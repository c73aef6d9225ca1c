import math
from dataclasses import replace

import pytest

from microgpt_evolution.genome import VALUES, Space
from microgpt_evolution.strategies.gaussian_process import Surrogate
from microgpt_evolution.trial import EVALUATIONS, RUNGS, Contestant

SPACE = Space(values={gene: VALUES[gene] for gene in ("lr", "dropout")})


def organism(genome, id, losses=()) -> Contestant:
    return Contestant(genome, 1, id, "mutant", losses=tuple(losses))


def curve(final: float) -> list[float]:
    return [final + 1 / k - 1 / EVALUATIONS for k in range(1, EVALUATIONS + 1)]


@pytest.fixture
def trained(small) -> list[Contestant]:
    """One organism per learning rate in the search space; the loss falls as the rate rises."""
    return [
        organism(replace(small, lr=lr), f"g1-{i}", curve(2 - i / 20))
        for i, lr in enumerate(VALUES["lr"])
    ]


def test_the_surrogate_reproduces_the_order_of_known_losses(trained) -> None:
    predictions = Surrogate(SPACE, trained).predict(trained)
    means = [each.mean for each in predictions]
    assert means == sorted(means, reverse=True)
    assert all(each.deviation < 0.2 for each in predictions)


def test_the_surrogate_interpolates_and_is_less_certain_far_away(trained, small) -> None:
    surrogate = Surrogate(SPACE, [trained[i] for i in (0, 1, 2, 4, 8, 11)])
    near, far = (organism(replace(small, lr=VALUES["lr"][i]), "new") for i in (3, 10))
    (low,), (high,) = surrogate.predict([near]), surrogate.predict([far])
    assert high.mean < low.mean
    (elsewhere,) = surrogate.predict([organism(replace(near.genome, dropout=0.45), "new")])
    (known,) = surrogate.predict([trained[2]])
    assert known.deviation < low.deviation < elsewhere.deviation


def test_a_paused_organism_is_predicted_from_its_own_loss_curve(trained, small) -> None:
    good, bad = (
        organism(replace(small, lr=lr), id, curve(loss)[: RUNGS[0]])
        for id, lr, loss in (("g2-1", 0.004, 1.4), ("g2-2", 0.0028, 2.5))
    )
    surrogate = Surrogate(SPACE, [*trained, good, bad])
    (of_good,), (of_bad,) = surrogate.predict([good]), surrogate.predict([bad])
    assert of_good.mean < of_bad.mean


def test_an_expected_loss_reduces_the_uncertainty_of_neighbours(trained, small) -> None:
    surrogate = Surrogate(SPACE, trained[:4])
    chosen, other = (organism(replace(small, lr=lr), f"{lr}") for lr in (0.011, 0.008))
    (before,) = surrogate.predict([other])
    (after,), (again,) = surrogate.expecting(chosen).predict([other]), surrogate.predict([other])
    assert after.deviation < before.deviation
    assert after.mean == pytest.approx(before.mean)  # only the uncertainty changes
    assert again == before


@pytest.mark.parametrize("losses", [(math.inf,), (3.0, math.inf), (0.0,) * EVALUATIONS])
def test_the_surrogate_makes_predictions_from_a_single_organism(small, losses) -> None:
    surrogate = Surrogate(SPACE, [organism(small, "g1-1", losses)])
    (prediction,) = surrogate.predict([organism(replace(small, lr=0.016), "new")])
    assert math.isfinite(prediction.mean)
    assert prediction.deviation > 0
