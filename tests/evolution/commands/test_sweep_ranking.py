"""The ranking that a sweep prints at its end."""

from searches import ranking_of

from microgpt_evolution.genome import Genome
from microgpt_evolution.report.ranking import describe_ranking

Losses = dict[Genome, tuple[float | None, ...]]


def lines_of(losses: Losses, **settings: object) -> list[str]:
    """Return the lines for these held-out losses."""
    return list(describe_ranking(ranking_of(losses, **settings), 10))


def rates(*losses: float) -> Losses:
    """Return losses of rising learning rates, which hardly differ between the seeds."""
    steps = zip((0.001, 0.003, 0.01), losses, strict=True)
    return {Genome(lr=lr): (loss - 0.001, loss, loss + 0.001) for lr, loss in steps}


def test_the_best_settings_come_first_in_the_ranking() -> None:
    _, _, *rows = lines_of(rates(2.4, 2.2, 2.3))
    assert [line.split()[:5] for line in rows] == [
        ["1", "0.003", "2.2000", "±", "0.0025"],
        ["2", "0.01", "2.3000", "±", "0.0025"],
        ["3", "0.001", "2.4000", "±", "0.0025"],
    ]


def test_settings_are_compared_with_the_best_ones_seed_by_seed() -> None:
    """By hand: the differences are 0.1, 0.1 and 0.13, so 4.303 · 0.01732 / √3."""
    losses = {Genome(lr=0.01): (2.1, 2.2, 2.3), Genome(lr=0.003): (2.2, 2.3, 2.43)}
    title, headings, first, second = lines_of(losses)
    assert title.endswith("; Behind 1: paired by seed)")
    assert headings.endswith("  Behind 1  Params  Operations")
    assert first.split() == ["1", "0.01", "2.2000", "±", "0.2484", "4,192", "1"]
    assert second.split()[5:8] == ["0.1100", "±", "0.0430"]


def test_configurations_with_diverged_runs_rank_last() -> None:
    losses = {**rates(2.4, 2.2, 2.3), Genome(lr=0.1): (2.0, None, 2.0)}
    assert lines_of(losses)[-1].endswith("2 of 3 seeds")


def test_a_ranking_by_losses_on_read_documents_is_marked() -> None:
    heading, *_ = lines_of(rates(2.4, 2.2, 2.3), contamination={"validation": 0.5})
    assert heading.startswith("Ranking by held-out loss (contamination 50 %), nats per token (")


def test_a_long_ranking_is_cut() -> None:
    losses = {Genome(lr=n / 1000): (2.0 + n,) * 3 for n in range(1, 13)}
    assert lines_of(losses)[-1] == "… and 2 more"
