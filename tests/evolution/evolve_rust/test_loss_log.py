"""The log's lines, compared with evolve-rust's to the letter."""

import re
from pathlib import Path

import pytest

from microgpt.config import TrainConfig
from microgpt.training.train import train
from microgpt_evolution.evolve_rust.log import demo, genome_written, retest_table, saved
from microgpt_evolution.evolve_rust.loss_log import (
    end_report,
    event,
    gene_means,
    gene_table,
    header,
    insights,
    ranking,
    summary,
)
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.organism import Evaluation, rank
from microgpt_evolution.search.loss_search import Blacklist
from microgpt_evolution.search.retest import Retest
from microgpt_evolution.search.settings import SearchSettings

WINNER = "Emb:24  Head:2 Lay:1 Ctx:32 FF:3 LR:0.0119 Steps:500 "
OTHER = "Emb:16  Head:4 Lay:1 Ctx:16 FF:4 LR:0.0050 Steps:200 "
WINNER_GENES = {
    "n_emb": 24, "n_head": 2, "n_layer": 1, "n_ctx": 32, "n_ff_exp": 3, "lr": 0.0119, "steps": 500
}  # fmt: skip


def header_of(target: float, log: str = "a.log", **changes) -> list[str]:
    facts = {"population": 8, "generations": 10, "fitness": "last-doc", "seed": 42} | changes
    settings = SearchSettings(objective="loss", input="x", data_sha256="", **facts)
    return header(settings, target, Path(log))


def test_the_log_header_matches_evolve_rust_and_names_the_loss() -> None:
    lines = header_of(1.2, "experiments/evolve_20260227_022211.log")
    assert lines == [
        "=== MicroGPT Loss Evolution Engine ===",
        "Experiment: experiments/evolve_20260227_022211.log",
        "Target: loss < 1.2",
        "Population: 8, Generations: 10",
        "Selection: tournament(k=3), 2 random immigrants/gen",
        "Stagnation: championship@2, cataclysm@4",
        "Blacklist: loss > 2.3 after 2 samples",
        "Fitness: last-doc, Seed: 42",
        "",
    ]
    lines = header_of(2.27136, fitness="held-out", population=2, warm_start=PRIMORDIAL)
    assert lines[2] == "Target: loss < 2.2714"
    assert lines[4] == "Selection: tournament(k=3), 0 random immigrants/gen"
    assert lines[6] == "Blacklist: loss in the worst quartile after 2 samples"
    assert lines[-2] == f"Warm start: {PRIMORDIAL.describe()}"


def test_the_rows_and_the_summary_match_evolve_rust(make_organism) -> None:
    """The first two rows of its sample, and one that crashed."""
    first = make_organism(
        1.64704, n_emb=16, n_head=1, n_layer=3, n_ctx=12, n_ff_exp=2, lr=0.02984, steps=1000
    )
    second = make_organism(
        1.6784, n_emb=24, n_head=4, n_layer=2, n_ctx=12, n_ff_exp=4, lr=0.0088, steps=1000
    )
    crashed = make_organism(status="crashed", origin="immigrant", n_emb=8, n_ctx=8, steps=200)
    ranked = rank([crashed, second, first])
    assert ranking(ranked) == [
        "> #1: Emb:16  Head:1 Lay:3 Ctx:12 FF:2 LR:0.0298 Steps:1000 | Loss: 1.6470 [random]",
        "  #2: Emb:24  Head:4 Lay:2 Ctx:12 FF:4 LR:0.0088 Steps:1000 | Loss: 1.6784 [random]",
        "  #3: Emb:8   Head:4 Lay:1 Ctx:8  FF:4 LR:0.0050 Steps:200  | Loss: crashed [immigrant]",
    ]
    assert summary(ranked, stagnation=1, n_blacklisted=3, seconds=207.6) == [
        "  Best: 1.6470 | Worst: 1.6784 | Spread: 0.0314 | Species: 3 (33% largest) | "
        "Stagnation: 1 | Blacklisted: 3 | 208s",
        "",
    ]


def test_the_log_of_a_failed_generation_shows_no_losses(make_ranked) -> None:
    ranked = make_ranked([None, float("nan")])
    crashed, diverged = ranking(ranked)
    assert crashed.endswith(" | Loss: crashed [random]")
    assert diverged.endswith(" | Loss: diverged [random]")
    line, _ = summary(ranked, stagnation=0, n_blacklisted=0, seconds=1)
    assert line.startswith("  Best: none | Worst: none | Spread: none | Species: 1")
    text = report([ranked])
    assert "  Best loss: none\n  Best config: none\n" in text
    assert "--- Insights ---" not in text


def test_event_lines_match_evolve_rust() -> None:
    assert event("normal", 1) == []
    assert event("championship", 2) == [
        "  *** CHAMPIONSHIP: 2 gens stagnant — breeding winners with growth ***"
    ]
    assert event("cataclysm", 4) == [
        "  *** CATACLYSM: 4 gens stagnant — expanding search space ***"
    ]


@pytest.fixture
def generations(make_ranked):
    """Three, of which the second found the winner and the last crashed."""
    best = make_ranked([1.4676], generation=2, **WINNER_GENES)
    return [
        make_ranked([1.664, 2.5], generation=1),
        best + make_ranked([1.664], generation=2),
        make_ranked([None, None], generation=3),
    ]


def report(generations, target=1.2, blacklist=None) -> str:
    default = Blacklist("last-doc", (), {"16-4-1-16-4": (2.5, 2.4), "8-1-1-8-1": (3.0,)})
    return "\n".join(end_report(generations, target, blacklist or default, seconds=1820.4))


def test_the_final_report_matches_evolve_rust_line_by_line(generations) -> None:
    text = report(generations)
    assert text.startswith(
        f"""\
========================================
       EVOLUTION COMPLETE
========================================
  Generations: 3
  Total evaluations: 6
  Total time: 1820s (607s/gen avg)
  Best loss: 1.4676
  Best config: {WINNER}
  Blacklisted species: 1
  Target 1.2 NOT reached

--- Evolution Trajectory ---
   Gen      Best  Diversity
     1    1.6640        50%  ############################
     2    1.4676       100%  ##############################
     3      none        50%  \n
--- Top Configs Across All Generations ---
   1. Gen 2 | Loss 1.4676 | {WINNER} [random]
   2. Gen 1 | Loss 1.6640 | {OTHER} [random]

--- Hyperparameter Analysis ---
  Param            Top 10  Bottom 10      Delta
"""
    )
    assert text.endswith(
        """\
--- Insights ---
  No strong hyperparameter trends detected (more generations may help).

--- Blacklisted Species (loss > 2.3, 2+ failures) ---
  16-4-1-16-4 — 2 failures, avg loss 2.4500"""
    )


@pytest.mark.parametrize(
    ("target", "line"),
    [(1.7, "first reached: generation 1"), (1.5, "first reached: generation 2"), (1.4676, "NOT ")],
)
def test_the_target_is_reached_when_the_best_loss_is_below_it(generations, target, line) -> None:
    assert f"  Target {target} {line}" in report(generations, target=target)


@pytest.mark.parametrize(("loss", "length"), [(9.0, 0), (3.99, 0), (3.0, 12), (1.0, 36), (0.1, 40)])
def test_lower_losses_have_longer_bars_up_to_a_limit(make_ranked, loss, length) -> None:
    text = report([make_ranked([loss])])
    assert re.search(r"^     1 .*%  (#*)$", text, re.MULTILINE)[1] == "#" * length


def test_the_first_of_two_equal_organisms_wins(make_ranked) -> None:
    generations = [make_ranked([2.0, 1.9], generation=g, n_layer=g) for g in (1, 2)]
    assert "  Best config: Emb:16  Head:4 Lay:1 " in report(generations)


def test_the_report_lists_at_most_ten_species(make_ranked) -> None:
    ranked = [organism for n in range(1, 13) for organism in make_ranked([1 + n / 9], n_layer=n)]
    failures = {f"8-1-{n}-8-1": (3.0, 3.0) for n in range(12)}
    text = report([ranked], blacklist=Blacklist("held-out", (), failures))
    assert text.count("| Loss ") == 10
    assert text.count(" failures, avg loss 3.0000") == 10
    assert "--- Blacklisted Species (loss in the worst quartile, 2+ failures) ---" in text


def test_the_lines_after_a_search_match_evolve_rust() -> None:
    assert genome_written("genome.json", 8) == [
        "",
        "--- Genome Written ---",
        "  Saved to genome.json (generation 8)",
        "  The organism has evolved.",
    ]
    assert demo(["anna", "emma"], 1.56361) == [
        "",
        "--- Final Demo with Best Config ---",
        "> anna",
        "> emma",
        "Final loss: 1.5636",
    ]
    assert saved("experiments/a.log") == ["", "Experiment saved to: experiments/a.log"]


def test_the_retest_table_shows_losses_of_search_and_retest() -> None:
    result = train(["anna"], config=TrainConfig(steps=1))
    retest = Retest(result, (2.1, 2.5, 2.6), (2.31, 2.32, 2.33), (2.33,))
    assert retest_table(Evaluation("ok", 1.2466, 1.2466), retest) == [
        "",
        "--- Winner Retested With Fresh Seeds ---",
        "                   Search  Retest",
        "  Last document    1.2466  2.4000 ± 0.6573 (95%, n=3)",
        "  Held out           none  2.3200 ± 0.0248 (95%, n=3)",
        "  Test               none  2.3300 (n=1)",
    ]


def means_of(make_ranked, top, bottom):
    """Return the gene means of ten organisms with some genes and of ten with others."""
    return gene_means(make_ranked([1.0] * 10, **top)), gene_means(make_ranked([2.0] * 10, **bottom))


def test_the_gene_table_matches_evolve_rust(make_ranked) -> None:
    top = {"n_emb": 32, "n_head": 2, "n_layer": 3, "n_ctx": 8, "n_ff_exp": 2, "lr": 0.0035}
    bottom = {"n_emb": 20, "n_head": 2, "n_layer": 2, "n_ctx": 16, "n_ff_exp": 3, "lr": 0.0091}
    assert gene_table(*means_of(make_ranked, {**top, "steps": 500}, {**bottom, "steps": 225})) == [
        "  Param            Top 10  Bottom 10      Delta",
        "  Embedding          32.0       20.0     +12.0 ^",
        "  Heads               2.0        2.0      +0.0  ",
        "  Layers              3.0        2.0      +1.0 ^",
        "  Context             8.0       16.0      -8.0 v",
        "  FF Mult             2.0        3.0      -1.0 v",
        "  Learn Rate       0.0035     0.0091   -0.0056  ",
        "  Steps             500.0      225.0    +275.0 ^",
    ]


def test_the_gene_table_averages_the_ten_best_and_ten_worst(make_ranked) -> None:
    middle = make_ranked([1.5] * 30, n_emb=64)
    ranked = make_ranked([1.0] * 10, n_emb=8) + middle + make_ranked([2.0] * 10, n_emb=16)
    assert "  Embedding           8.0       16.0      -8.0 v" in report([ranked])
    assert "  Embedding          16.0       16.0      +0.0  " in report([make_ranked([1.0, 2.0])])


@pytest.mark.parametrize(
    ("top", "bottom", "line"),
    [
        ({"n_layer": 3}, {"n_layer": 2},
         "Depth matters: top configs avg 3.0 layers vs 2.0 in bottom"),
        ({"n_emb": 32}, {"n_emb": 20},
         "Embedding size: larger is better (top avg 32 vs bottom 20)"),
        ({"n_emb": 20}, {"n_emb": 32},
         "Embedding size: smaller is better (top avg 20 vs bottom 32)"),
        ({"steps": 500}, {"steps": 225},
         "Training duration: more steps preferred (top avg 500 vs bottom 225)"),
        ({"steps": 225}, {"steps": 500},
         "Training duration: fewer steps preferred (top avg 225 vs bottom 500)"),
        ({"lr": 0.02}, {"lr": 0.01},
         "Learning rate: higher is better (top avg 0.0200 vs bottom 0.0100)"),
        ({"lr": 0.0035}, {"lr": 0.0091},
         "Learning rate: lower is better (top avg 0.0035 vs bottom 0.0091)"),
        ({"n_ctx": 16}, {"n_ctx": 8},
         "Context window: longer preferred (top avg 16 vs bottom 8)"),
        ({"n_ctx": 8}, {"n_ctx": 16},
         "Context window: shorter preferred (top avg 8 vs bottom 16)"),
    ],
)  # fmt: skip
def test_the_insights_are_worded_as_in_evolve_rust(make_ranked, top, bottom, line) -> None:
    assert insights(*means_of(make_ranked, top, bottom)) == [f"  - {line}"]


@pytest.mark.parametrize(
    ("top", "bottom"),
    [
        ({"n_layer": 2}, {"n_layer": 3}),  # only depth that helps is told
        ({"n_emb": 16}, {"n_emb": 13, "n_head": 1}),
        ({"steps": 300}, {"steps": 200}),
        ({"lr": 0.014}, {"lr": 0.01}),
        ({"lr": 0.0068}, {"lr": 0.01}),
        ({"n_ctx": 10}, {"n_ctx": 8}),
    ],
)
def test_small_trends_are_not_reported_as_insights(make_ranked, top, bottom) -> None:
    assert insights(*means_of(make_ranked, top, bottom)) == [
        "  No strong hyperparameter trends detected (more generations may help)."
    ]
