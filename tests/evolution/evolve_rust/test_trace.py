import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from microgpt_evolution.evolve_rust.trace import Trace, bred, done, started
from microgpt_evolution.genome import PRIMORDIAL
from microgpt_evolution.search.loss_search import LossSearch, StagnationSchedule

DESCRIPTION = "Emb:16  Head:4 Lay:1 Ctx:16 FF:4 LR:0.0050 Steps:200 "


def breed(stagnation: int, ranked) -> list[str]:
    """Return the trace of the generation that is bred after so many without progress."""
    search = LossSearch(population=len(ranked), fitness="held-out", seed=1)
    search.organisms, search.schedule = ranked, StagnationSchedule(stagnation)
    search.breed()
    return bred(search.stage, ranked, search.organisms, n_blacklisted=3)


def test_evaluations_are_traced_as_in_evolve_rust(make_organism) -> None:
    new, known = make_organism(slot=3), make_organism(1.64704, slot=3)
    known = replace(known, evaluation=replace(known.evaluation, seconds=12.34))
    assert started(new) == f"[eval] organism 3 starting: {DESCRIPTION}"
    assert started(known) == "[eval] organism 3 already evaluated (loss=1.6470)"
    assert done(known) == "[eval] organism 3 done: loss=1.6470 (12.3s)"


@pytest.mark.parametrize(
    ("status", "word"), [("crashed", "PANICKED"), ("diverged", "DIVERGED"), ("refused", "REFUSED")]
)
def test_the_trace_of_a_failed_evaluation_gives_the_reason(make_organism, status, word) -> None:
    organism = make_organism(status=status, slot=3)
    organism = replace(organism, evaluation=replace(organism.evaluation, reason="out of memory"))
    line = f"[eval] organism 3 {word}: out of memory | config: {DESCRIPTION}"
    assert done(organism) == line


def test_normal_breeding_is_traced_as_in_evolve_rust(make_ranked) -> None:
    start, elite, first, second, total = breed(0, make_ranked([2.0] * 8, generation=2))
    assert start == "[gen 2] breeding next generation..."
    assert elite == f"[breed] kept elite: {DESCRIPTION}"
    assert first.startswith("[breed] immigrant 1: Emb:")
    assert second.startswith("[breed] immigrant 2: Emb:")
    pattern = (
        r"\[breed\] next gen: 1 elite \+ 2 immigrants \+ (\d) crossover \+ (\d) mutants \+ "
        r"(\d) hypermutants = 8"
    )
    n_bred = re.fullmatch(pattern, total)
    assert sum(map(int, n_bred.groups())) == 5


def test_a_championship_is_traced_as_in_evolve_rust(make_ranked) -> None:
    lines = breed(2, make_ranked([2.0] * 8, generation=4))
    assert lines[:2] == [
        "[gen 4] CHAMPIONSHIP breeding triggered",
        f"[breed] elite forced re-eval: {DESCRIPTION}",
    ]
    assert lines[2].startswith("[breed] growth mutation: Emb:")
    assert lines[3:6] == [
        f"[breed] champion cross: #{a} x #{b}" for a, b in ((1, 2), (2, 3), (3, 1))
    ]
    assert lines[-1] == (
        "[breed] championship: 1 re-eval + 1 grown + 3 champions + 2 tuned + 1 immigrant = 8"
    )


def test_a_cataclysm_is_traced_as_in_evolve_rust(make_ranked) -> None:
    assert breed(4, make_ranked([2.0] * 8, generation=5)) == [
        "[gen 5] CATACLYSM triggered",
        f"[breed] elite forced re-eval: {DESCRIPTION}",
        "[breed] cataclysm: 1 re-eval + 7 wide randoms (avoiding 3 blacklisted species)",
    ]


def test_the_trace_describes_a_warm_start() -> None:
    search = LossSearch(population=8, fitness="held-out", seed=1, ancestor=PRIMORDIAL)
    lines: list[str] = []
    run = SimpleNamespace(search=search, settings=SimpleNamespace(warm_start=PRIMORDIAL))
    Trace(lines.append).begun(run)
    assert lines == ["[breed] first gen: 1 genome + 3 mutants + 4 randoms = 8"]
    Trace(lines.append).generation_begun(run)
    assert lines[1] == "[gen 1] evaluating 8 organisms..."
    assert lines[2].startswith("[eval] organism 1 starting: Emb:16 ")
