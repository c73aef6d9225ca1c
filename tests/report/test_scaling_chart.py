"""The scaling chart: its curves, and what it says of them."""

from microgpt_evolution.sweep.config import SweepConfig
from microgpt_evolution.sweep.records import SweepResult
from microgpt_evolution.sweep.scaling import Scaling
from microgpt_report.charts.scaling import N_ON_CURVE, draw

STEPS = (100, 300, 1_000, 3_000, 10_000)


def panels(losses_of_rate: dict[float, list[float]]) -> dict[str, tuple[str, int]]:
    """Return the caption of each panel, and the number of points of its lines."""
    results = [
        SweepResult(
            point=SweepConfig(lr=lr, steps=steps),
            seed=seed,
            status="ok",
            val_loss=loss + 0.001 * seed,
            last_loss=loss,
            train_loss=loss,
            n_params=4192,
            flops=steps,
            cpu_seconds=steps / 1e3,
        )
        for lr, losses in losses_of_rate.items()
        for steps, loss in zip(STEPS, losses, strict=True)
        for seed in (1, 2, 3)
    ]
    chart = draw(Scaling.of(results)).to_dict()
    found = {}
    for panel in chart["concat"]:
        line, *_ = panel["layer"]
        assert line["encoding"]["x"]["title"].endswith(" (log scale)")
        rows = chart["datasets"][line["data"]["name"]]
        found[panel["title"]["text"]] = panel["title"]["subtitle"], len(rows)
    return found


FALLING = [2 + 3 * steps**-0.5 for steps in STEPS]
RISING = [3 + steps / 1e4 for steps in STEPS]


def test_a_fitted_law_is_a_curve() -> None:
    assert panels({0.01: FALLING})["Loss against steps"] == (
        "curve: fitted power law",
        N_ON_CURVE,
    )


def test_no_line_joins_losses_that_no_law_fits() -> None:
    assert panels({0.01: RISING})["Loss against steps"] == ("no power law fits", 0)


def test_the_caption_counts_the_series_that_a_law_fits() -> None:
    found = panels({0.01: FALLING, 0.1: RISING})
    assert found["Loss against steps"] == (
        "curves: fitted power laws, for 1 of 2 series",
        N_ON_CURVE,
    )
    assert found["Loss against time"][0] == "dashed: lowest loss for a budget"


def test_where_the_cheapest_is_the_best_there_is_no_dashed_line() -> None:
    assert panels({0.01: RISING})["Loss against time"] == ("the cheapest has the lowest loss", 1)
