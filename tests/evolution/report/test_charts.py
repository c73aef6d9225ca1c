import re

import pytest

from microgpt_evolution import evolve
from microgpt_evolution.genome import Genome
from microgpt_evolution.report.charts import draw_means
from microgpt_evolution.report.ranking import Ranking
from microgpt_evolution.study_settings import SweepSettings
from microgpt_evolution.trial import TrialRecord

NAMES = ["anna", "emma", "ava", "mia", "ella", "nora", "lena", "ida", "ada", "eva", "<b>", "una"]


def test_settings_of_a_sweep_are_drawn_best_first_with_intervals() -> None:
    """By hand: of three seeds 0.001 apart, the interval is 4.303 · 0.001 / √3."""
    losses = {Genome(steps=100): 2.5, Genome(steps=1000): 2.25, Genome(steps=10_000): 2.0}
    sweep = SweepSettings(genomes=(*losses,), seeds=(1,), input="a", data_sha256="")
    found = [
        TrialRecord(genome=genome, seed=seed, status="ok", val_loss=loss + seed / 1000,
                    n_params=9, flops=7)
        for genome, loss in losses.items() for seed in (1, 2, 3)
    ]  # fmt: skip
    chart = draw_means(Ranking(sweep, found)).to_dict()
    (rows,) = chart["datasets"].values()
    assert [row["settings"] for row in rows] == ["steps 10,000", "steps 1,000", "steps 100"]
    assert [row["high"] - row["loss"] for row in rows] == [pytest.approx(0.0025, abs=1e-4)] * 3
    assert rows[0]["about"] == "steps 10,000: 2.0020 ± 0.0025"


def test_plot_shows_the_trials_of_a_search_in_their_order() -> None:
    found = evolve(NAMES, population=4, generations=2)
    drawn = found.plot().to_dict()
    (rows,) = drawn["datasets"].values()
    assert [row["trial"] for row in rows] == [*range(1, len(rows) + 1)]
    assert rows[0]["id"] == "g0-0"
    assert [row["best"] for row in rows] == sorted((row["best"] for row in rows), reverse=True)
    assert re.fullmatch("<EvolutionResult: [^\n]{,200}>", repr(found))
