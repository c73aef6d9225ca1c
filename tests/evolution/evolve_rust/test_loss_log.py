"""The log's lines, compared with evolve-rust's to the letter, and read as its tools read them."""

import re
from pathlib import Path

import pytest

from microgpt_evolution.evolve_rust import loss_log
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.population import rank
from microgpt_evolution.search.settings import SearchSettings

# As evolve-rust's import of a log into its registry reads a row, and its analysis a summary.
ROW = re.compile(
    r"^\s*>?\s*#(?P<rank>\d+):\s+Emb:(?P<n_emb>\d+)\s+Head:(?P<n_head>\d+)\s+Lay:(?P<n_layer>\d+)\s+"
    r"Ctx:(?P<n_ctx>\d+)\s+FF:(?P<n_ff_exp>\d+)\s+LR:(?P<lr>[0-9.]+)\s+Steps:(?P<steps>\d+)\s+\|\s+"
    r"Loss:\s+(?P<loss>[0-9.]+)\s+\[(?P<origin>[^\]]+)\]"
)


@pytest.fixture
def ranked(make_organism):
    """The first two rows of the sample, and one that crashed."""
    first = make_organism(
        1.64704, n_emb=16, n_head=1, n_layer=3, n_ctx=12, n_ff_exp=2, lr=0.02984, steps=1000
    )
    second = make_organism(
        1.6784, n_emb=24, n_head=4, n_layer=2, n_ctx=12, n_ff_exp=4, lr=0.0088, steps=1000
    )
    crashed = make_organism(status="crashed", origin="immigrant", n_emb=8, n_ctx=8, steps=200)
    return rank([crashed, second, first])


def header(target: float, log: str = "a.log", **changes) -> list[str]:
    facts = {"population": 8, "generations": 10, "fitness": "last-doc", "seed": 42} | changes
    settings = SearchSettings(objective="loss", input="x", data_sha256="", **facts)
    return loss_log.header(settings, target, Path(log))


def test_the_header_is_evolve_rusts_and_names_the_loss() -> None:
    lines = header(1.2, "experiments/evolve_20260227_022211.log")
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


def test_the_header_of_a_held_out_search_has_its_thresholds() -> None:
    lines = header(2.27136, fitness="held-out", population=2)
    assert lines[2] == "Target: loss < 2.2714"
    assert lines[4] == "Selection: tournament(k=3), 0 random immigrants/gen"
    assert lines[6] == "Blacklist: loss in the worst quartile after 2 samples"


def test_the_header_mentions_a_warm_start() -> None:
    lines = header(2.2, warm_start=PRIMORDIAL)
    assert lines[-2] == f"Warm start: {PRIMORDIAL.describe()}"


def test_a_generation_begins_as_in_evolve_rust() -> None:
    assert loss_log.generation_start(1, 10) == "--- Generation 1/10 ---"


def test_rows_are_evolve_rusts_and_crashes_have_no_loss(ranked) -> None:
    assert loss_log.ranking(ranked) == [
        "> #1: Emb:16  Head:1 Lay:3 Ctx:12 FF:2 LR:0.0298 Steps:1000 | Loss: 1.6470 [random]",
        "  #2: Emb:24  Head:4 Lay:2 Ctx:12 FF:4 LR:0.0088 Steps:1000 | Loss: 1.6784 [random]",
        "  #3: Emb:8   Head:4 Lay:1 Ctx:8  FF:4 LR:0.0050 Steps:200  | Loss: crashed [immigrant]",
    ]


def test_evolve_rusts_tools_read_the_rows_with_a_loss(ranked) -> None:
    first, _, crashed = map(ROW.match, loss_log.ranking(ranked))
    assert crashed is None
    assert first is not None
    assert first.group("rank", "n_emb", "steps", "loss", "origin") == (
        "1", "16", "1000", "1.6470", "random"
    )  # fmt: skip


def test_a_summary_looks_like_evolve_rusts(make_ranked) -> None:
    ranked = make_ranked([1.647, 2.0335, 1.9, 1.8])
    lines = loss_log.summary(ranked, stagnation=1, n_blacklisted=3, seconds=207.6)
    assert lines == [
        "  Best: 1.6470 | Worst: 2.0335 | Spread: 0.3865 | Species: 1 (100% largest) | "
        "Stagnation: 1 | Blacklisted: 3 | 208s",
        "",
    ]


def test_the_worst_is_taken_of_finished_organisms(ranked) -> None:
    line, _ = loss_log.summary(ranked, stagnation=0, n_blacklisted=0, seconds=1)
    assert line.startswith("  Best: 1.6470 | Worst: 1.6784 | Spread: 0.0314 | Species: 3 (33% larg")


def test_a_generation_that_crashed_whole_shows_no_losses(make_ranked) -> None:
    ranked = make_ranked([None, float("nan")])
    crashed, diverged = loss_log.ranking(ranked)
    assert crashed.endswith(" | Loss: crashed [random]")
    assert diverged.endswith(" | Loss: diverged [random]")
    line, _ = loss_log.summary(ranked, stagnation=0, n_blacklisted=0, seconds=1)
    assert line.startswith("  Best: none | Worst: none | Spread: none | Species: 1")


def test_events_look_like_evolve_rusts() -> None:
    assert loss_log.event("normal", 1) == []
    assert loss_log.event("championship", 2) == [
        "  *** CHAMPIONSHIP: 2 gens stagnant — breeding winners with growth ***"
    ]
    assert loss_log.event("cataclysm", 4) == [
        "  *** CATACLYSM: 4 gens stagnant — expanding search space ***"
    ]


def test_the_target_is_announced_as_in_evolve_rust() -> None:
    line = "  ** Target 1.2 reached! Continuing to evolve... **"
    assert loss_log.target_reached(1.2) == line
