import re

import pytest

from microgpt.config import TrainConfig
from microgpt.training.train import train
from microgpt_evolution.evolve_rust.loss_log_end import (
    demo,
    end_report,
    gene_means,
    gene_table,
    genome_written,
    insights,
    retest_table,
    saved,
)
from microgpt_evolution.objectives.retest import Retest
from microgpt_evolution.population import Evaluation
from microgpt_evolution.search.blacklist import Blacklist

WINNER = "Emb:24  Head:2 Lay:1 Ctx:32 FF:3 LR:0.0119 Steps:500 "
OTHER = "Emb:16  Head:4 Lay:1 Ctx:16 FF:4 LR:0.0050 Steps:200 "
WINNER_GENES = {
    "n_emb": 24, "n_head": 2, "n_layer": 1, "n_ctx": 32, "n_ff_exp": 3, "lr": 0.0119, "steps": 500
}  # fmt: skip


@pytest.fixture
def generations(make_ranked):
    """Three, of which the second found the winner and the last crashed."""
    best = make_ranked([1.4676], generation=2, **WINNER_GENES)
    return [
        make_ranked([1.664, 2.5], generation=1),
        best + make_ranked([1.664], generation=2),
        make_ranked([None, None], generation=3),
    ]


@pytest.fixture
def retest():
    result = train(["anna"], config=TrainConfig(steps=1))
    return Retest(result, (2.1, 2.5, 2.6), (2.31, 2.32, 2.33), (2.33,))


def report(generations, **changes) -> str:
    blacklist = Blacklist("last-doc", (), {"16-4-1-16-4": (2.5, 2.4), "8-1-1-8-1": (3.0,)})
    facts = {"target": 1.2, "blacklist": blacklist, "seconds": 1820.4, **changes}
    return "\n".join(end_report(generations, **facts))


def test_the_end_of_the_log_is_evolve_rusts_line_by_line(generations) -> None:
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


def test_evolve_rusts_tools_read_the_end_of_the_log(generations) -> None:
    text = report(generations)
    found = {
        name: re.search(pattern, text)
        for name, pattern in (
            ("loss", r"Best loss: (\d+\.\d+)"),
            ("evaluations", r"Total evaluations: (\d+)"),
            ("config", r"Best config: (.+)"),
        )
    }
    assert {name: match and match[1] for name, match in found.items()} == {
        "loss": "1.4676", "evaluations": "6", "config": WINNER
    }  # fmt: skip


@pytest.mark.parametrize(
    ("target", "line"),
    [(1.7, "first reached: generation 1"), (1.5, "first reached: generation 2"), (1.4676, "NOT ")],
)
def test_the_target_is_reached_when_the_best_is_below_it(generations, target, line) -> None:
    assert f"  Target {target} {line}" in report(generations, target=target)


@pytest.mark.parametrize(("loss", "length"), [(9.0, 0), (3.99, 0), (3.0, 12), (1.0, 36), (0.1, 40)])
def test_lower_losses_have_longer_bars_up_to_a_limit(make_ranked, loss, length) -> None:
    text = report([make_ranked([loss])])
    assert re.search(r"^     1 .*%  (#*)$", text, re.MULTILINE)[1] == "#" * length


def test_the_loss_of_the_search_stands_beside_the_retest(retest) -> None:
    found = Evaluation("ok", 1.2466, 1.2466)
    assert retest_table(found, retest) == [
        "",
        "--- Winner Retested With Fresh Seeds ---",
        "                   Search  Retest",
        "  Last document    1.2466  2.4000 ± 0.6573 (95%, n=3)",
        "  Held out           none  2.3200 ± 0.0248 (95%, n=3)",
        "  Test               none  2.3300 (n=1)",
    ]


def test_the_first_of_equal_organisms_wins(make_ranked) -> None:
    generations = [make_ranked([2.0, 1.9], generation=g, n_layer=g) for g in (1, 2)]
    assert "  Best config: Emb:16  Head:4 Lay:1 " in report(generations)


def test_a_run_without_finished_organisms_is_reported(make_ranked) -> None:
    generations = [make_ranked([None, float("nan")])]
    text = report(generations)
    assert "  Best loss: none\n  Best config: none\n" in text
    assert "--- Insights ---" not in text


def test_at_most_ten_species_are_listed(make_organism, make_ranked) -> None:
    ranked = [organism for n in range(1, 13) for organism in make_ranked([1 + n / 9], n_layer=n)]
    failures = {f"8-1-{n}-8-1": (3.0, 3.0) for n in range(12)}
    text = report([ranked], blacklist=Blacklist("held-out", (), failures))
    assert text.count("| Loss ") == 10
    assert text.count(" failures, avg loss 3.0000") == 10
    assert "--- Blacklisted Species (loss in the worst quartile, 2+ failures) ---" in text


def test_the_lines_after_the_search_are_evolve_rusts() -> None:
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


def means_of(make_ranked, top, bottom):
    """Return the gene means of ten organisms with some genes and of ten with others."""
    return gene_means(make_ranked([1.0] * 10, **top)), gene_means(make_ranked([2.0] * 10, **bottom))


def test_the_table_looks_like_evolve_rusts(make_ranked) -> None:
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


def test_means_are_taken_of_the_ten_best_and_ten_worst(make_ranked) -> None:
    middle = make_ranked([1.5] * 30, n_emb=64)
    ranked = make_ranked([1.0] * 10, n_emb=8) + middle + make_ranked([2.0] * 10, n_emb=16)
    assert "  Embedding           8.0       16.0      -8.0 v" in report([ranked])


def test_a_short_run_is_compared_with_itself(make_ranked) -> None:
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
def test_insights_use_evolve_rusts_words(make_ranked, top, bottom, line) -> None:
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
def test_a_small_trend_is_no_insight(make_ranked, top, bottom) -> None:
    assert insights(*means_of(make_ranked, top, bottom)) == [
        "  No strong hyperparameter trends detected (more generations may help)."
    ]
