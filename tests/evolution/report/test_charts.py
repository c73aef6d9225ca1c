import re

import pytest

from microgpt_evolution import evolve
from microgpt_evolution.genome import Genome
from microgpt_evolution.report.charts import draw_scaling, log_axis
from microgpt_evolution.report.ranking import HELD_OUT_LOSS, Ranking
from microgpt_evolution.report.scaling import Scaling
from microgpt_evolution.trial import TrialRecord

NAMES = ["anna", "emma", "ava", "mia", "ella", "nora", "lena", "ida", "ada", "eva", "<b>", "una"]
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


def drawn(losses_of_rate: dict[float, list[float]], flops: float = 0) -> dict:
    results_of_rate = results(losses_of_rate, flops)
    return draw_scaling(Scaling(Ranking(HELD_OUT_LOSS, results_of_rate))).to_dict()


def test_a_panel_for_each_cost_shows_means_with_intervals() -> None:
    """By hand: of three seeds 0.001 apart, the interval is 4.303 · 0.001 / √3."""
    chart = drawn({0.01: FALLING})
    assert [panel["title"] for panel in chart["concat"]] == [
        "Loss against steps",
        "Loss against operations",
    ]
    (rows,) = chart["datasets"].values()
    assert [row["steps"] for row in rows] == [*STEPS]
    assert [row["high"] - row["loss"] for row in rows] == [pytest.approx(0.0025, abs=1e-4)] * 5


def test_configurations_are_shown_if_all_costs_are_equal() -> None:
    rates = {0.01: [3.0], 0.1: [2.0]}
    (panel,) = drawn(rates, flops=7)["concat"]
    assert panel["title"] == "Loss of each configuration"
    assert drawn({0.01: [3.0]})


def test_points_with_equal_steps_differ_in_color() -> None:
    chart = drawn({0.01: FALLING, 0.1: RISING})
    color = chart["concat"][0]["layer"][0]["encoding"]["color"]
    assert color["scale"]["domain"] == ["lr 0.01", "lr 0.1"]


def test_a_logarithmic_axis_is_labelled_as_logarithmic() -> None:
    axis = log_axis("params", "parameters").to_dict()
    assert (axis["scale"]["type"], axis["title"]) == ("log", "parameters (log scale)")


def test_plot_shows_a_search_by_generation() -> None:
    found = evolve(NAMES, population=4, generations=2)
    drawn = found.plot().to_dict()
    (rows,) = drawn["datasets"].values()
    assert {int(row["generation"]) for row in rows} == {0, 1, 2}
    assert re.fullmatch("<EvolutionResult: [^\n]{,200}>", repr(found))
