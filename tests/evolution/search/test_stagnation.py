import math

import pytest

from microgpt_evolution.search.stagnation import StagnationSchedule


def climb(*bests: float) -> list[tuple[int, str]]:
    """Return the stagnation that is told after each generation, and how the next is bred."""
    schedule, told = StagnationSchedule(), []
    for best in bests:
        schedule = schedule.after(best)
        told.append((schedule.stagnation, schedule.stage))
        schedule = schedule.after_breeding()
    return told


NORMAL_0, NORMAL_1 = (0, "normal"), (1, "normal")
CHAMPIONSHIP_2, CHAMPIONSHIP_3 = (2, "championship"), (3, "championship")
CATACLYSM = (4, "cataclysm")


@pytest.mark.parametrize(
    ("bests", "told"),
    [
        ([2.0, 1.9, 1.8, 1.7], [NORMAL_0] * 4),  # progress
        (
            [1.6] * 6,  # a cataclysm resets the count
            [NORMAL_0, NORMAL_1, CHAMPIONSHIP_2, CHAMPIONSHIP_3, CATACLYSM, NORMAL_1],
        ),
        ([math.inf, math.inf, math.inf, 2.0], [NORMAL_0, NORMAL_1, CHAMPIONSHIP_2, NORMAL_0]),
    ],
)
def test_flat_generations_start_a_championship_then_a_cataclysm(bests, told) -> None:
    assert climb(*bests) == told


def test_a_lucky_elite_does_not_end_the_stagnation() -> None:
    # Measured anew in the championship it is worse: the search is as stuck as before.
    assert climb(1.6, 1.6, 1.6, 1.65, 1.7)[2:] == [CHAMPIONSHIP_2, CHAMPIONSHIP_3, CATACLYSM]
    # What then is better than that, is progress.
    assert climb(1.6, 1.6, 1.6, 1.65, 1.62)[3:] == [CHAMPIONSHIP_3, NORMAL_0]


@pytest.mark.parametrize(("gain", "stagnation"), [(0.9e-8, 1), (1.1e-8, 0)])
def test_a_gain_within_rounding_is_no_progress(gain, stagnation) -> None:
    assert climb(1.6, 1.6 - gain)[-1] == (stagnation, "normal")
