import pytest

from microgpt_evolution.commands.analyze_command import returns_on, series_on
from microgpt_evolution.genome import Genome
from microgpt_evolution.report.ranking import Ranking
from microgpt_evolution.study_settings import SweepSettings
from microgpt_evolution.trial import TrialRecord

SWEEP = SweepSettings(genomes=(Genome(),), seeds=(1,), input="a", data_sha256="")


def result(point, loss, *, seed=42, n_params=4192, flops=None, status="ok") -> TrialRecord:
    losses = {"val_loss": loss, "last_loss": loss + 1}
    return TrialRecord(
        genome=point,
        seed=seed,
        status=status,
        n_params=n_params,
        flops=flops or point.steps * n_params,
        **(losses if status == "ok" else {}),
    )


def candidates_of(results):
    return Ranking(SWEEP, [*results]).candidates


def steps(number: int) -> Genome:
    return Genome(steps=number)


def test_a_return_is_the_loss_reduction_per_thousand_steps() -> None:
    """By hand: 0.3 nats in 2,000 steps are 0.15 for a thousand, 0.1 in 4,000 are 0.025."""
    losses = {1000: 2.7, 3000: 2.4, 7000: 2.3}
    found = candidates_of(result(steps(n), loss) for n, loss in losses.items())
    (series,) = series_on("steps", found)
    first, second, third = series
    returns = returns_on("steps", series)
    assert first not in returns
    drop, per_thousand = returns[second]
    assert drop.value == pytest.approx(0.3)
    assert per_thousand.value == pytest.approx(0.15)
    assert returns[third][1].value == pytest.approx(0.025)
    assert returns[third][1].half_width is None


def test_a_return_can_be_the_gain_per_thousand_parameters() -> None:
    """By hand: 0.22624 nats for 26,816 - 4,192 weights, 0.174272 for 201,088 - 26,816."""
    sizes = {4192: Genome(n_embd=16), 26_816: Genome(n_embd=32), 201_088: Genome(n_embd=64)}
    losses = [2.5, 2.5 - 0.22624, 2.5 - 0.22624 - 0.174272]
    found = [
        result(point, loss, n_params=n)
        for (n, point), loss in zip(sizes.items(), losses, strict=True)
    ]
    (series,) = series_on("parameters", candidates_of(found))
    assert [each.record.n_params for each in series] == [4192, 26_816, 201_088]
    returns = [each.value for _, each in returns_on("parameters", series).values()]
    assert returns == pytest.approx([0.01, 0.001])


def test_the_confidence_interval_of_a_return_pairs_the_seeds() -> None:
    """By hand: each seed gains 0.1, 0.2 or 0.3 in 2,000 steps, however far apart they begin."""
    before, gains = [2.0, 3.0, 4.0], [0.1, 0.2, 0.3]
    results = [result(steps(1000), loss, seed=i) for i, loss in enumerate(before)]
    results += [
        result(steps(3000), loss - gain, seed=i)
        for i, (loss, gain) in enumerate(zip(before, gains, strict=True))
    ]
    (series,) = series_on("steps", candidates_of(results))
    ((_, found),) = returns_on("steps", series).values()
    assert found.value == pytest.approx(0.1)
    assert found.half_width == pytest.approx(4.303 * 0.05 / 3**0.5, rel=1e-3)


def test_a_series_varies_one_setting_and_fixes_all_others() -> None:
    points = [Genome(steps=n, lr=lr) for lr in (0.005, 0.02) for n in (100, 200)]
    points += [Genome(steps=100, n_embd=32)]
    found = candidates_of(
        result(point, 2.0, n_params=14_528 if point.n_embd == 32 else 4192) for point in points
    )
    steps, sizes = (
        [[each.record.genome for each in series] for series in series_on(axis, found)]
        for axis in ("steps", "parameters")
    )
    assert steps == [points[0:2], points[2:4]]
    assert sizes == [[points[0], points[4]]]


def test_failed_and_repeated_points_are_ignored() -> None:
    found = [
        result(steps(1), 2.5, seed=1), result(steps(1), 2.5, seed=1),
        result(steps(1), 0, seed=2, status="diverged"), result(steps(2), 0, status="refused"),
    ]  # fmt: skip
    (found,) = candidates_of(found)
    assert found.values == {1: 2.5}
