"""What a sweep says at its end: a ranking, and the winner's command."""

from pathlib import Path

from microgpt_evolution.commands.sweep_run import describe_sweep
from microgpt_evolution.genome import Genome
from microgpt_evolution.study_settings import SweepSettings
from microgpt_evolution.trial import TrialRecord

SEEDS = (1, 2, 3)


def lines_of(losses: dict[Genome, tuple[float | None, ...]], **settings) -> list[str]:
    """Return the lines for these held-out losses, one per seed; None has diverged."""
    sweep = SweepSettings(
        sweep="grid",
        genomes=tuple(losses),
        seeds=SEEDS,
        input="/docs/my names.txt",
        data_sha256="",
        **settings,
    )
    results = [
        TrialRecord(
            genome=config, seed=seed, status="diverged" if loss is None else "ok",
            val_loss=loss, last_loss=loss, n_params=4192, flops=1,
        )
        for config, of_config in losses.items()
        for seed, loss in zip(SEEDS, of_config, strict=True)
    ]  # fmt: skip
    return list(describe_sweep(sweep, results, Path("experiments/sweep_1")))


def rates(*losses: float) -> dict[Genome, tuple[float | None, ...]]:
    """Return losses of rising learning rates, which hardly differ between the seeds."""
    steps = zip((0.001, 0.003, 0.01), losses, strict=True)
    return {Genome(lr=lr): (loss - 0.001, loss, loss + 0.001) for lr, loss in steps}


def test_the_best_settings_come_first_in_the_ranking() -> None:
    _, _, _, first, second, third, *_ = lines = lines_of(rates(2.4, 2.2, 2.3))
    assert [line.split()[:5] for line in (first, second, third)] == [
        ["1", "0.003", "2.2000", "±", "0.0025"],
        ["2", "0.01", "2.3000", "±", "0.0025"],
        ["3", "0.001", "2.4000", "±", "0.0025"],
    ]
    assert (
        "Train the winner:  microgpt train --preset karpathy --data '/docs/my names.txt' "
        "--learning-rate 0.003 --val-fraction 0.1 --test-fraction 0.1 --seed 1 "
        "--model sweep_1-winner"
    ) in lines
    assert not any("may be chance" in line for line in lines)
    analyze = "microgpt analyze experiments/sweep_1 --output scaling.svg"
    assert lines[-1] == f"Tables and chart:  {analyze}"


def test_settings_are_compared_with_the_best_ones_seed_by_seed() -> None:
    """By hand: the differences are 0.1, 0.1 and 0.13, so 4.303 · 0.01732 / √3."""
    losses = {Genome(lr=0.01): (2.1, 2.2, 2.3), Genome(lr=0.003): (2.2, 2.3, 2.43)}
    _, title, headings, first, second, *_ = lines_of(losses)
    assert title.endswith("; Behind 1: paired by seed)")
    assert headings.endswith("  Behind 1  Params  GFLOP")
    assert first.split() == ["1", "0.01", "2.2000", "±", "0.2484", "4,192", "1e-09"]
    assert second.split()[5:8] == ["0.1100", "±", "0.0430"]


def test_a_lead_that_may_be_chance_suggests_more_seeds() -> None:
    losses = {**rates(2.4, 2.2, 2.3), Genome(lr=0.005): (2.1, 2.25, 2.3)}
    (line,) = (line for line in lines_of(losses) if "may be chance" in line)
    assert line.endswith("  microgpt sweep resume experiments/sweep_1 --seeds 6")


def test_a_winner_with_a_setting_that_train_lacks_has_no_command() -> None:
    losses = {Genome(beta1=0.9): (2.0, 2.1, 2.2), Genome(): (2.5, 2.6, 2.7)}
    (line,) = (line for line in lines_of(losses) if line.startswith("Train the winner:"))
    assert line.endswith("in Python, because train has no option for beta1 0.9")


def test_configurations_with_diverged_runs_rank_last() -> None:
    losses = {**rates(2.4, 2.2, 2.3), Genome(lr=0.1): (2.0, None, 2.0)}
    assert lines_of(losses)[6].endswith("2 of 3 seeds")


def test_a_ranking_by_losses_on_read_documents_is_marked() -> None:
    _, heading, *_ = lines_of(rates(2.4, 2.2, 2.3), contamination={"validation": 0.5})
    assert heading.startswith("Ranking by held-out loss (contamination 50 %) (nats per token")
