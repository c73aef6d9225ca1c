"""Tests of `microgpt analyze` on recorded sweeps."""

from pathlib import Path

import pytest
from commands import ok, refused
from searches import SETTINGS, ranking_of

from microgpt_evolution.commands.analyze_command import returns_on, series_on
from microgpt_evolution.genome import Genome
from microgpt_evolution.strategies.grid import SIZES, STEPS
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import SweepSettings
from microgpt_evolution.trial import Evaluation, Trial

SEEDS = (42, 43, 44)
TRIPLING = tuple(Genome(steps=n) for n in STEPS["tripling"])
OFFSETS = {42: -0.01, 43: 0.0, 44: 0.01}  # offsets of losses, by seed


def loss_of(point: Genome) -> float:
    """Return a loss that follows a power law: 2 + 30 / √steps."""
    return 2 + 30 * point.steps**-0.5


def write(folder: Path, genomes=TRIPLING, *, failed=(), **facts) -> str:
    """Record a sweep, and return its directory as a command-line argument."""
    data = {"input": "/abc.txt", "data_sha256": "abc", **facts}
    settings = SweepSettings(genomes=genomes, seeds=SEEDS, **data)
    with Study.begin(folder / "experiments", "sweep", settings) as records:
        for trial in settings.trials:
            val_loss = loss_of(trial.genome) + OFFSETS[trial.seed]
            losses = {"val_loss": val_loss, "last_loss": val_loss + 1}
            found = Evaluation("ok", samples=("anna", "em ma", "ava"), **losses)
            if (trial.genome, trial.seed) in failed:
                found = Evaluation("diverged", reason="why")
            records.add(trial, found, flops=7, n_params=trial.genome.n_embd)
    return str(records.directory.relative_to(folder))


def sections(text: str) -> dict[str, list[list[str]]]:
    """Return the cells of each printed table, by the first words of the line above the table."""
    found = {}
    for block in text.split("\n\n")[1:]:
        title, *lines = block.splitlines()
        found[title.split(":")[0]] = [line.split("  ") for line in lines]
    return {title: [[c.strip() for c in row if c] for row in rows] for title, rows in found.items()}


def test_analyze_prints_losses_and_the_gain_per_training_step(microgpt, tmp_path) -> None:
    """The losses of the three seeds are 0.01 apart, so the half-width is 4.303 · 0.01 / √3. From
    1,000 to 3,000 steps, the loss falls by 30 / √1,000 - 30 / √3,000 = 0.4010."""
    write(tmp_path)
    done = microgpt("analyze")
    assert (done.returncode, done.stderr) == (0, "")
    table = sections(done.stdout)["Loss against steps"]
    assert table[0] == ["Steps", "Loss", "Last document", "Samples (First 3)"]
    assert table[1] == ["1,000", "2.9487 ± 0.0248", "3.95 ± 0.02", "anna, em ma, ava"]
    assert [row[0] for row in table[2:]] == ["3,000", "9,000"]
    table = sections(done.stdout)["Return on investment"]
    assert table[0] == ["Steps", "Loss", "Delta Loss", "Return"]
    assert table[1] == ["1,000", "2.9487", "-", "-"]
    assert table[2] == ["3,000", "2.5477", "0.4010 ± 0.0000", "0.200480 ± 0.000000"]
    assert len(table) == 4


def test_analyze_marks_contaminated_losses(microgpt, tmp_path) -> None:
    write(tmp_path, contamination={"validation": 0.5, "test": 0.25})
    stdout = microgpt("analyze").stdout
    assert stdout.startswith("Loss: held-out loss (contamination 50 %), nats per token")
    assert "\nRanking by held-out loss (contamination 50 %), " in stdout


def test_analyze_ignores_failed_runs_and_prints_how_many_runs_completed(microgpt, tmp_path) -> None:
    run = write(tmp_path, failed=[(TRIPLING[0], SEEDS[0])])
    done = ok(microgpt("analyze"))
    assert done.stderr == f"note: 8 of 9 training runs in {run} completed\n"
    assert "2 of 3 seeds" in done.stdout
    run = write(tmp_path, failed=[(point, seed) for point in TRIPLING for seed in SEEDS[1:]])
    done = ok(microgpt("analyze", run))
    assert "±" not in done.stdout  # intervals need two seeds; one remains
    assert done.stderr == f"note: 3 of 9 training runs in {run} completed\n"


def test_analyze_needs_a_sweep_and_reads_the_newest_by_default(microgpt, tmp_path) -> None:
    assert "no sweep run in experiments; create one with" in refused(microgpt("analyze"))
    write(tmp_path)
    write(tmp_path, (Genome(steps=77), Genome(steps=78)))
    assert "\n   77  " in microgpt("analyze").stdout


def test_analyze_refuses_a_search_and_names_the_command_for_it(microgpt, tmp_path) -> None:
    trial = Trial(Genome(), 1, "g1-1")
    with Study.begin(tmp_path, "search", SETTINGS, is_stamped=False) as records:
        records.add(trial, Evaluation("ok", val_loss=2.5), flops=7, n_params=9)
    error = refused(microgpt("analyze", "search"))
    assert error.startswith("search is a search, not a sweep")
    assert error.endswith("microgpt report search")


def test_the_gain_from_more_parameters_is_stated_per_thousand_weights() -> None:
    """The loss falls by 0.22624 with 22,624 more weights, and by 0.174272 with 174,272 more."""
    losses = [2.5], [2.5 - 0.22624], [2.5 - 0.22624 - 0.174272]
    found = ranking_of(dict(zip(SIZES.values(), losses, strict=True)))
    (series,) = series_on("parameters", found.candidates)
    assert [each.record.n_params for each in series] == [4192, 26_816, 201_088]
    returns = [each.value for _, each in returns_on("parameters", series).values()]
    assert returns == pytest.approx([0.01, 0.001])


def test_each_series_of_runs_varies_one_setting_and_fixes_all_others() -> None:
    points = [Genome(steps=n, lr=lr) for lr in (0.005, 0.02) for n in (100, 200)]
    points += [Genome(steps=100, n_embd=32)]
    found = ranking_of(dict.fromkeys(points, (2.0,))).candidates
    steps, sizes = (
        [[each.record.genome for each in series] for series in series_on(axis, found)]
        for axis in ("steps", "parameters")
    )
    assert steps == [points[0:2], points[2:4]]
    assert sizes == [[points[0], points[4]]]
