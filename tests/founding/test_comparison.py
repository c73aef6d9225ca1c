"""The comparison of implementations: true gradients against random ones."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def table(compiled) -> dict[str, list[str]]:
    """The rows of the comparison: the last column is the control with random gradients."""
    command = [sys.executable, "bench/compare.py", "--rounds", "1", "--controls", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    for line in ("num docs: 32033", "vocab size: 27", "num params: 4192"):
        assert line in done.stdout.splitlines()
    rows = [line.strip("| ").split("|") for line in done.stdout.splitlines() if line[:1] == "|"]
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in rows}


pytestmark = [pytest.mark.slow, pytest.mark.long]


# S3.1, S3.2, S3.3, S3.7, S3.17, S3.27
def test_true_gradients_converge(table) -> None:
    assert table["final loss"][:3] == ["2.6497"] * 3


# S3.3, S3.10, S3.16, S3.17, S3.26: above the loss of a uniform guess
def test_random_gradients_do_not_learn(table) -> None:
    assert float(table["final loss"][3]) > 3.2
    (mean_loss,) = [cells[3] for name, cells in table.items() if name.startswith("mean loss")]
    assert float(mean_loss) > math.log(27)


# S3.9, S3.11, S3.18, S3.27
def test_only_true_gradients_make_names(table, transcript) -> None:
    samples = [cells for name, cells in table.items() if re.fullmatch(r"sample +\d+", name)]
    printed = re.findall(r"^sample [ \d]\d: (\w+)$", transcript, re.MULTILINE)
    for column in range(3):
        assert [cells[column] for cells in samples] == printed
    known = set((ROOT / "data" / "names.txt").read_text(encoding="utf-8").split())
    assert sum(cells[3] in known for cells in samples) <= 2


# S3.12, S3.13, S3.16, S3.20: only automatic differentiation tracks a graph
def test_the_reference_tracks_the_graph(table) -> None:
    reference, *_, control = [int(n.replace(",", "")) for n in table["graph nodes per step"]]
    assert reference > 1_000
    assert control == 0
