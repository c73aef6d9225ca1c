import pytest
from searches import ranking_of

from microgpt_evolution import evolve
from microgpt_evolution.genome import Genome
from microgpt_evolution.report.study_charts import draw_means

NAMES = ["anna", "emma", "ava", "mia", "ella", "nora", "lena", "ida", "ada", "eva", "<b>", "una"]


def test_settings_of_a_sweep_are_drawn_best_first_with_intervals() -> None:
    """The three losses of a setting are 0.001 apart, so the half-width is 4.303 · 0.001 / √3."""
    losses = {100: 2.5, 1000: 2.25, 10_000: 2.0}
    seeds = {
        Genome(steps=n): (loss + 0.001, loss + 0.002, loss + 0.003) for n, loss in losses.items()
    }
    (rows,) = draw_means(ranking_of(seeds)).to_dict()["datasets"].values()
    assert [row["settings"] for row in rows] == ["steps 10,000", "steps 1,000", "steps 100"]
    assert [row["high"] - row["value"] for row in rows] == [pytest.approx(0.0025, abs=1e-4)] * 3
    assert rows[0]["about"] == "steps 10,000: 2.0020 ± 0.0025"


def test_a_huge_loss_is_drawn_as_a_diamond_at_the_end_of_the_axis() -> None:
    seeds = {Genome(lr=lr): (loss, loss + 0.01) for lr, loss in ((0.01, 2), (0.02, 2.1), (1, 9e9))}
    _, points = draw_means(ranking_of(seeds)).to_dict()["layer"]
    scale, shape = points["encoding"]["x"]["scale"], points["encoding"]["shape"]
    low, high = scale["domain"]
    assert scale["clamp"]
    assert low < 2 < 2.2 < high < 9
    assert (shape["condition"]["value"], shape["value"]) == ("circle", "diamond")
    assert shape["condition"]["test"] == f"inrange(datum.value, [{low}, {high}])"


@pytest.mark.compiled
def test_the_plot_of_a_search_shows_the_best_loss_so_far() -> None:
    (rows,) = evolve(NAMES, population=4, generations=2).plot().to_dict()["datasets"].values()
    assert [row["trial"] for row in rows] == [*range(1, len(rows) + 1)]
    assert rows[0]["id"] == "g0-0"
    assert [row["best"] for row in rows] == sorted((row["best"] for row in rows), reverse=True)
