import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from searches import AESTHETIC, HYDRA, SMALL, log_of, run_of

from microgpt_evolution.search_log import SearchLog, describe
from microgpt_evolution.trial import Evaluation

pytestmark = [pytest.mark.compiled, pytest.mark.usefixtures("undrawn")]


def lines_of(searched, search) -> list[str]:
    return log_of(run_of(searched(*search)[1])).splitlines()


@pytest.mark.parametrize(
    ("search", "n", "what"), [(SMALL, 4, "stagnation"), (AESTHETIC, 2, "diversity")]
)
def test_logs_have_generations_finalists_and_a_target_for_loss(searched, search, n, what) -> None:
    lines = lines_of(searched, search)
    assert lines[0].startswith("Target: loss < ") == (search is SMALL)
    row = rf"Generation (\d)/{n}: best (-?\d\.\d{{4}}), .*{what} \d+.* \| Emb:\d+ .*\[[\w-]+\]"
    found = [found[1] for line in lines if (found := re.fullmatch(row, line))]
    assert found == list("1234"[:n])
    rest = lines[lines.index("Finalists, trained with 2 more seeds:") + 1 :]
    marks = [line[0] for line in rest if re.match(r"[> ] g\d-\d: ", line)]
    assert 1 <= len(marks) <= 3
    assert marks.count(">") == 1


def test_the_log_of_a_hydra_search_has_lines_for_each_head_and_exchange(searched) -> None:
    lines = lines_of(searched, HYDRA)
    for head in ("Weaver", "Mirror", "Spark"):
        assert sum(re.match(rf"Generation \d/6, {head}: ", line) is not None for line in lines) == 6
        assert sum(line.startswith(f"  [{head}]") for line in lines) == 2
    assert sum(line.startswith("  >> The Gathering") for line in lines) == 2


def test_the_log_line_of_a_failed_organism_gives_the_reason(make_organism) -> None:
    crashed = make_organism(status="crashed", generation=3, slot=5)
    evaluation = replace(crashed.evaluation, reason="OSError: broken")
    line = describe(replace(crashed, evaluation=evaluation), mark="")
    assert line.startswith("organism g3-5: crashed: OSError: broken | Emb:16 ")
    assert line.endswith("[random]")


def test_the_target_for_held_out_losses_depends_on_the_loss_of_the_first_genome() -> None:
    lines: list[str] = []
    settings: Any = SimpleNamespace(objective="loss", fitness="held-out", fitness_mark="")
    for primordial in (Evaluation("ok", fitness=2.5), None):
        SearchLog(lines.append, settings).begin(primordial)
    assert lines == ["Target: loss < 2.3", "Target: loss < 1.2"]
