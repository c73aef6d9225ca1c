from collections.abc import Iterable

import pytest

from microgpt_evolution.genome import Genome
from microgpt_evolution.runs.run_directory import TrialRecord
from microgpt_evolution.sweep.scaling import Scaling
from microgpt_report.charts.scaling import N_ON_CURVE, SettingMarks, draw

STEPS = (100, 300, 1_000, 3_000, 10_000)


def results(losses_of_rate: dict[float, list[float]]) -> list[TrialRecord]:
    """Return the results of three seeds that are 0.001 apart."""
    return [
        TrialRecord(
            genome=Genome(lr=lr, steps=steps),
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
        for steps, loss in zip(STEPS, losses, strict=False)
        for seed in (1, 2, 3)
    ]


def panels(found: Iterable[TrialRecord]) -> dict[str, tuple[str, int]]:
    """Return the caption of each panel, and the number of points of its lines."""
    chart = draw(Scaling.of(found)).to_dict()
    panels = {}
    for panel in chart["concat"]:
        line, *_ = panel["layer"]
        title = line["encoding"]["x"]["title"]
        assert title.endswith((" (log scale)", "in order of mean loss"))
        rows = chart["datasets"][line["data"]["name"]]
        panels[panel["title"]["text"]] = panel["title"]["subtitle"], len(rows)
    return panels


FALLING = [2 + 3 * steps**-0.5 for steps in STEPS]
RISING = [3 + steps / 1e4 for steps in STEPS]


@pytest.mark.parametrize(
    ("losses", "panel", "caption", "n_points"),
    [
        ({0.01: FALLING}, "steps", "curves: fitted power laws, for 1 of 1 series", N_ON_CURVE),
        ({0.01: RISING}, "steps", "curves: fitted power laws, for 0 of 1 series", 0),
        ({0.01: FALLING[:2]}, "steps", "curves: fitted power laws, for 0 of 1 series", 0),
        ({0.01: FALLING, 0.1: RISING}, "time", "dashed: lowest loss for a budget", len(STEPS)),
        ({0.01: RISING}, "time", "one is best at each cost", 1),
    ],
)
def test_a_caption_describes_what_the_line_shows(losses, panel, caption, n_points) -> None:
    assert panels(results(losses))[f"Loss against {panel}"] == (caption, n_points)


def test_no_frontier_is_drawn_if_all_costs_are_equal() -> None:
    """The times differ by far more than their spread, which is 0."""
    equal = [result.model_copy(update={"flops": 7}) for result in results({0.01: FALLING})]
    found = panels(equal)
    assert "Loss against operations" not in found
    assert found["Loss of each configuration"] == ("all have the same number of operations", 0)
    assert found["Loss against time"] == ("one is best at each cost", 1)


def test_no_frontier_is_drawn_if_times_differ_only_by_noise() -> None:
    noisy = [
        result.model_copy(update={"cpu_seconds": 1 + result.seed + result.flops / 1e5})
        for result in results({0.01: FALLING})
    ]
    assert panels(noisy)["Loss against time"] == ("one is best at each cost", 1)
    assert panels(noisy)["Loss against operations"][1] == len(STEPS)


@pytest.mark.parametrize(
    ("configs", "title"),
    [
        ([Genome(steps=100), Genome(steps=200)], None),
        ([Genome(lr=0.1), Genome(lr=0.2)], "learning rate"),
        (
            [Genome(n_embd=n, lr=lr) for n in (16, 32) for lr in (0.1, 0.2, 0.3)],
            "model (width/heads/layers)",
        ),
        (
            [Genome(optimizer=name, lr=lr) for name in ("adamw", "muon") for lr in (0.1, 0.2, 0.3)],
            "learning rate",
        ),
    ],
)
def test_points_with_equal_steps_differ_in_color_or_symbol(configs, title) -> None:
    marks = SettingMarks(configs)
    assert (marks.color.to_dict()["legend"] or {"title": None})["title"] == title
    rows = {(config.steps, *marks.row(config).values()) for config in configs}
    assert len(rows) == len(configs)
