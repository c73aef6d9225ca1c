"""Counts of bench/compare.py on the pages that state them."""

from pathlib import Path

import compare
import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "page", ["measurements/comparison.md", "decisions/0002-a-dot-product-is-one-node.md"]
)
def test_the_docs_state_the_measured_number_of_graph_nodes(page: str) -> None:
    assert f" {compare.nodes_per_step():,.0f} " in (DOCS / page).read_text(encoding="utf-8")
