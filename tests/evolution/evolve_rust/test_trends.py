import pytest

from microgpt_evolution.evolve_rust.trends import Trends, insights, table


def trends_of(make_ranked, top, bottom):
    """Return the trends of ten organisms with some genes and ten with others."""
    return Trends(make_ranked([1.0] * 10, **top) + make_ranked([2.0] * 10, **bottom))


def test_the_table_is_the_sources(make_ranked) -> None:
    top = {"n_emb": 32, "n_head": 2, "n_layer": 3, "n_ctx": 8, "n_ff_exp": 2, "lr": 0.0035}
    bottom = {"n_emb": 20, "n_head": 2, "n_layer": 2, "n_ctx": 16, "n_ff_exp": 3, "lr": 0.0091}
    assert table(trends_of(make_ranked, {**top, "steps": 500}, {**bottom, "steps": 225})) == [
        "  Param            Top 10  Bottom 10      Delta",
        "  Embedding          32.0       20.0     +12.0 ^",
        "  Heads               2.0        2.0      +0.0  ",
        "  Layers              3.0        2.0      +1.0 ^",
        "  Context             8.0       16.0      -8.0 v",
        "  FF Mult             2.0        3.0      -1.0 v",
        "  Learn Rate       0.0035     0.0091   -0.0056  ",
        "  Steps             500.0      225.0    +275.0 ^",
    ]


def test_means_are_of_the_ten_best_and_the_ten_worst(make_ranked) -> None:
    middle = make_ranked([1.5] * 30, n_emb=64)
    ranked = make_ranked([1.0] * 10, n_emb=8) + middle + make_ranked([2.0] * 10, n_emb=16)
    trend = Trends(ranked).of("n_emb")
    assert (trend.top, trend.bottom, trend.delta) == (8, 16, -8)


def test_a_short_run_is_compared_with_itself(make_ranked) -> None:
    assert Trends(make_ranked([1.0, 2.0])).of("n_emb").delta == 0


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
def test_insights_are_in_the_sources_words(make_ranked, top, bottom, line) -> None:
    assert insights(trends_of(make_ranked, top, bottom)) == [f"  - {line}"]


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
def test_small_trends_are_none(make_ranked, top, bottom) -> None:
    assert insights(trends_of(make_ranked, top, bottom)) == [
        "  No strong hyperparameter trends detected (more generations may help)."
    ]
