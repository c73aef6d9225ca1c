"""`microgpt analyze`, as it is used."""

from pathlib import Path

from commands import ok, refused
from searches import SETTINGS

from microgpt_evolution.genome import Genome
from microgpt_evolution.study import Study
from microgpt_evolution.study_settings import SweepSettings
from microgpt_evolution.trial import Evaluation, Trial

SEEDS = (42, 43, 44)
HEADING = "Ranking by held-out loss, nats per token (mean over 3 seeds ± 95 % interval; Behind 1"
STEPS = tuple(Genome(steps=n) for n in (1000, 4000, 16_000, 64_000))
OFFSETS = {42: -0.01, 43: 0.0, 44: 0.01}  # of the losses of a seed


def loss_of(point: Genome) -> float:
    """Return a loss that falls by a law: 2 + 30 / √steps."""
    return 2 + 30 * point.steps**-0.5


def count(point: Genome) -> int:
    """Return the number of weights, with an alphabet of 26 letters."""
    return 12 * point.n_layer * point.n_embd**2 + 70 * point.n_embd


def write(
    folder: Path,
    genomes=STEPS,
    *,
    loss=loss_of,
    sha256="abc",
    failed=(),
    status="crashed",
    contamination=None,
    **outcome,
) -> str:
    """Write a sweep, and return its directory as an argument."""
    settings = SweepSettings(
        genomes=genomes,
        seeds=SEEDS,
        input=f"/{sha256}.txt",
        data_sha256=sha256,
        contamination=contamination or {},
    )
    begun = Study.begin(folder / "experiments", "sweep", settings)
    with begun as records:
        for trial in settings.trials:
            point, seed = trial.genome, trial.seed
            n_params = count(point)
            val_loss = loss(point) + OFFSETS[seed]
            losses = {"val_loss": val_loss, "last_loss": val_loss + 1}
            samples = ("anna", "em ma", "ava")
            more = {"samples": samples} | outcome
            is_ok = (point, seed) not in failed
            evaluation = Evaluation("ok", **losses, **more)
            records.add(
                trial,
                evaluation if is_ok else Evaluation(status, reason="why"),
                flops=6 * n_params * point.steps,
                n_params=n_params,
            )
    return str(records.directory.relative_to(folder))


def sections(text: str) -> dict[str, list[list[str]]]:
    """Return the cells of each table by the first words of what stands above it."""
    found = {}
    for block in text.split("\n\n")[1:]:
        title, *lines = block.splitlines()
        found[title.split(":")[0]] = [line.split("  ") for line in lines]
    return {title: [[c.strip() for c in row if c] for row in rows] for title, rows in found.items()}


def test_analyze_prints_losses_and_returns(microgpt, tmp_path) -> None:
    """By hand: the seeds are 0.01 apart, so the interval is 4.303 · 0.01 / √3; from 30 / √1,000 to
    30 / √4,000, which is half of it, in three thousand steps."""
    write(tmp_path)
    done = microgpt("analyze")
    assert (done.returncode, done.stderr) == (0, "")
    table = sections(done.stdout)["Loss against steps"]
    assert table[0] == ["Steps", "Loss", "Last document", "Samples (First 3)"]
    assert table[1] == ["1,000", "2.9487 ± 0.0248", "3.95 ± 0.02", "anna, em ma, ava"]
    assert [row[0] for row in table[2:]] == ["4,000", "16,000", "64,000"]
    table = sections(done.stdout)["Return on investment"]
    assert table[0] == ["Steps", "Loss", "Delta Loss", "Return"]
    assert table[1] == ["1,000", "2.9487", "-", "-"]
    assert table[2] == ["4,000", "2.4743", "0.4743 ± 0.0000", "0.1581 ± 0.0000"]
    assert len(table) == 5


def test_analyze_can_combine_several_sweeps(microgpt, tmp_path) -> None:
    small = write(tmp_path)
    large = write(tmp_path, (Genome(n_embd=32, steps=64_000),), loss=lambda point: 1.5)
    done = microgpt("analyze", small, large)
    ranking = sections(done.stdout)[HEADING]
    assert ranking[0][:2] == ["n_embd", "steps"]
    assert [row[1:3] for row in ranking[1:3]] == [["32", "64,000"], ["16", "64,000"]]
    assert "0.6186 ± 0.0000" in ranking[2]
    assert microgpt("analyze", small, large, small).stdout == done.stdout


def test_losses_on_documents_that_were_read_are_marked(microgpt, tmp_path) -> None:
    write(tmp_path, contamination={"validation": 0.5, "test": 0.25})
    stdout = microgpt("analyze").stdout
    assert stdout.startswith("Loss: held-out loss (contamination 50 %), nats per token")
    assert "\nRanking by held-out loss (contamination 50 %), " in stdout


def test_failed_runs_are_excluded_with_a_note(microgpt, tmp_path) -> None:
    run = write(tmp_path, failed=[(STEPS[0], SEEDS[0])], status="diverged")
    done = ok(microgpt("analyze"))
    assert done.stderr == f"note: 11 of 12 training runs of {run} ended without a failure\n"
    assert "2 of 3 seeds" in done.stdout
    run = write(tmp_path, failed=[(point, seed) for point in STEPS for seed in SEEDS[1:]])
    done = ok(microgpt("analyze", run))
    assert "±" not in done.stdout  # a single seed is left
    assert done.stderr == f"note: 4 of 12 training runs of {run} ended without a failure\n"


def test_sweeps_of_different_documents_cannot_be_combined(microgpt, tmp_path) -> None:
    mine, yours = write(tmp_path), write(tmp_path, sha256="xyz")
    error = refused(microgpt("analyze", mine, yours))
    assert error.startswith(f"{mine} and {yours} use different documents (/abc.txt, /xyz.txt), so")
    assert "analyze them separately" in error


def test_analyze_reads_the_newest_sweep_by_default(microgpt, tmp_path) -> None:
    assert "no sweep in experiments; create one with `microgpt sw" in refused(microgpt("analyze"))
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
