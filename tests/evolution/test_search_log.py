import re
from dataclasses import replace

import pytest
from searches import DOCS

from microgpt_evolution import evolve
from microgpt_evolution.search_log import describe


def log_of(objective: str, **options) -> list[str]:
    lines: list[str] = []
    evolve(DOCS, objective=objective, population=4, generations=2, log=lines.append, **options)
    return lines


@pytest.mark.parametrize(
    ("objective", "what"), [("loss", "stagnation"), ("aesthetic", "diversity")]
)
def test_the_log_tells_of_each_generation_and_each_finalist(objective, what) -> None:
    lines = log_of(objective)
    assert lines[0].startswith("Target: loss < ") == (objective == "loss")
    row = rf"Generation (\d)/2: best (-?\d\.\d{{4}}), .*{what} \d+.* \| Emb:\d+ .*\[\w+\]"
    assert [found[1] for line in lines if (found := re.fullmatch(row, line))] == ["1", "2"]
    finalists = lines[lines.index("Finalists, trained with 2 more seeds:") + 1 :]
    assert 1 <= len(finalists) <= 3
    assert sum(line.startswith("> g") for line in finalists) == 1


def test_the_log_of_the_hydra_names_heads_and_gatherings() -> None:
    lines = log_of("hydra")
    for head in ("Weaver", "Mirror", "Spark"):
        assert sum(re.match(rf"Generation \d/6, {head}: ", line) is not None for line in lines) == 6
        assert sum(line.startswith(f"  [{head}]") for line in lines) == 2
    assert sum(line.startswith("  >> The Gathering") for line in lines) == 2


def test_an_organism_is_described_with_the_reason_of_its_failure(make_organism) -> None:
    crashed = make_organism(status="crashed", generation=3, slot=5)
    evaluation = replace(crashed.evaluation, reason="OSError: broken")
    line = describe(replace(crashed, evaluation=evaluation), mark="")
    assert line.startswith("organism g3-5: crashed: OSError: broken | Emb:16 ")
    assert line.endswith("[random]")
