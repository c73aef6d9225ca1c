import re
from dataclasses import replace

import pytest

from microgpt_evolution import evolve
from microgpt_evolution.genome import Genome
from microgpt_evolution.report.charts import draw_effects
from microgpt_evolution.report.ranking import Measure, Ranking
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
    measure = Measure("loss", lambda record: record.val_loss)
    return draw_effects(Ranking(measure, results(losses_of_rate, flops))).to_dict()


def test_a_panel_for_each_setting_shows_means_with_intervals() -> None:
    """By hand: of three seeds 0.001 apart, the interval is 4.303 · 0.001 / √3.

    The best of several learning rates is joined by a line.
    """
    assert drawn({0.01: [3.0]})["concat"]  # of a single setting
    (panel,) = drawn({0.01: FALLING})["concat"]
    assert panel["title"] == "Loss against steps"
    chart = drawn({0.01: FALLING, 0.1: RISING})
    titles = [panel["title"] for panel in chart["concat"]]
    assert titles == ["Loss against steps", "Loss against lr"]
    (rows,) = chart["datasets"].values()
    assert {row["steps"] for row in rows} == {*STEPS}
    assert [row["high"] - row["loss"] for row in rows] == [pytest.approx(0.0025, abs=1e-4)] * 10
    line = chart["concat"][0]["layer"][1]["encoding"]
    assert line["y"]["aggregate"] == "min"
    assert line["x"]["title"] == "steps (log scale)"


def test_values_that_are_no_positive_numbers_stand_side_by_side() -> None:
    found = [replace(each, genome=Genome(dropout=dropout, architecture=name))
             for dropout, name in ((0.0, "karpathy"), (0.1, "modern"))
             for each in results({0.01: [3.0]})]  # fmt: skip
    chart = draw_effects(Ranking(Measure("loss", lambda record: record.val_loss), found)).to_dict()
    kinds = {
        panel["title"].removeprefix("Loss against "): panel["layer"][0]["encoding"]["x"]["type"]
        for panel in chart["concat"]
    }
    assert kinds == {"architecture": "nominal", "dropout": "nominal"}


def test_plot_shows_the_trials_of_a_search_in_their_order() -> None:
    found = evolve(NAMES, population=4, generations=2)
    drawn = found.plot().to_dict()
    (rows,) = drawn["datasets"].values()
    assert [row["trial"] for row in rows] == [*range(1, len(rows) + 1)]
    assert rows[0]["id"] == "g0-0"
    assert [row["best"] for row in rows] == sorted((row["best"] for row in rows), reverse=True)
    assert re.fullmatch("<EvolutionResult: [^\n]{,200}>", repr(found))
