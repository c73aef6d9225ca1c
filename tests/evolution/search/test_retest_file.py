import re
from dataclasses import replace
from pathlib import Path

import pytest

from microgpt_evolution.errors import RunError
from microgpt_evolution.objectives.retest import Retest
from microgpt_evolution.objectives.scores import NameScores
from microgpt_evolution.search.retest_file import read_retest, write_retest
from microgpt_evolution.search.selection import Winner


def votes(*judges: float) -> tuple[NameScores, ...]:
    return tuple(NameScores({"judge": judge}, 1.0, 0.9) for judge in judges)


def test_the_file_holds_both_losses_of_each_candidate(make_organism, text_result, tmp_path) -> None:
    organism = make_organism(2.25, generation=3, slot=4)
    (vote,) = votes(1.5)
    assert organism.evaluation
    heard = replace(organism, evaluation=replace(organism.evaluation, scores=vote))
    exam = Retest(text_result, (2.5, 2.75), (2.25, 2.5), (2.0, 2.125), votes(1.0, 1.25))
    write_retest(tmp_path, Winner(heard, "judge"), exam, ["anna", ""])
    found = read_retest(tmp_path)
    assert found
    assert (found.id, found.names) == ("g3-4", ("anna", ""))
    assert (found.last_loss.found, found.last_loss.again) == (2.25, (2.5, 2.75))
    assert (found.val_loss.found, found.val_loss.again) == (None, (2.25, 2.5))
    assert (found.test_loss.found, found.test_loss.again) == (None, (2.0, 2.125))
    assert (found.scores["judge"].found, found.scores["judge"].again) == (1.5, (1.0, 1.25))


def test_a_run_without_a_winner_has_no_retest(tmp_path: Path) -> None:
    assert read_retest(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"id": 3}', "id: input should be a valid string"),
        ('{"version": 2}', "version: input should be less than or equal to 1"),
        (
            '{"id": "g1-1", "last_loss": {"found": null, "again": [2.0, 1e308]}}',
            "last_loss.again[1]: ",
        ),
    ],
)
def test_a_damaged_retest_file_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "exam.json").write_text(content)
    with pytest.raises(RunError, match=rf"exam\.json: {re.escape(problem)}"):
        read_retest(tmp_path)
