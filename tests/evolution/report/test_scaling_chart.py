import pytest

from microgpt_evolution.genome import Genome
from microgpt_evolution.report.scaling_chart import N_ON_CURVE, draw, log_axis
from microgpt_evolution.scaling.scaling import Scaling
from microgpt_evolution.trial import TrialRecord

STEPS = (100, 300, 1_000, 3_000, 10_000)
FALLING = [2 + 3 * steps**-0.5 for steps in STEPS]
RISING = [3 + steps / 1e4 for steps in STEPS]


def results(losses_of_rate: dict[float, list[float]], flops: float = 0) -> list[TrialRecord]:
    """Return the results of three seeds that are 0.001 apart."""
    return [
        TrialRecord(
            genome=Genome(lr=lr, steps=steps),
            seed=seed,
            status="ok",
            val_loss=loss + 0.001 * seed,
            last_loss=loss,
            n_params=4192,
            flops=flops or steps,
        )
        for lr, losses in losses_of_rate.items()
        for steps, loss in zip(STEPS, losses, strict=False)
        for seed in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("losses", "caption", "n_points"),
    [
        ({0.01: FALLING}, "fitted power laws for 1 of 1 series", N_ON_CURVE),
        ({0.01: FALLING, 0.1: RISING}, "fitted power laws for 1 of 2 series", N_ON_CURVE),
        ({0.01: RISING}, "fitted power laws for 0 of 1 series", 0),
        ({0.01: FALLING[:2]}, "fitted power laws for 0 of 1 series", 0),
    ],
)
def test_a_panel_shows_fitted_power_laws(losses, caption, n_points) -> None:
    chart = draw(Scaling.of(results(losses))).to_dict()
    assert [panel["title"]["text"] for panel in chart["concat"]] == [
        "Loss against steps",
        "Loss against operations",
    ]
    steps = chart["concat"][0]
    assert steps["title"]["subtitle"] == caption
    lines = [layer for layer in steps["layer"] if layer["mark"]["type"] == "line"]
    assert sum(len(chart["datasets"][line["data"]["name"]]) for line in lines) == n_points


def test_configurations_are_shown_if_all_costs_are_equal() -> None:
    rates = {0.01: [3.0], 0.1: [2.0]}
    (panel,) = draw(Scaling.of(results(rates, flops=7))).to_dict()["concat"]
    assert panel["title"]["text"] == "Loss of each configuration"
    assert draw(Scaling.of(results({0.01: [3.0]}))).to_dict()


def test_points_with_equal_steps_differ_in_color() -> None:
    chart = draw(Scaling.of(results({0.01: FALLING, 0.1: RISING}))).to_dict()
    color = chart["concat"][0]["layer"][0]["encoding"]["color"]
    assert color["scale"]["domain"] == ["lr 0.01", "lr 0.1"]


def test_a_logarithmic_axis_is_labelled_as_logarithmic() -> None:
    axis = log_axis("params:Q", "parameters").to_dict()
    assert (axis["scale"]["type"], axis["title"]) == ("log", "parameters (log scale)")
