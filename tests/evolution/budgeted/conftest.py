"""Documents, and an objective with a small budget, for tests of budgeted searches."""

from dataclasses import replace

import pytest
from searches import DOCS

from microgpt.data.split import Split, split
from microgpt_evolution.objectives.rung_objective import RungObjective


@pytest.fixture(scope="session")
def small_parts() -> Split:
    return split(DOCS, validation=0.2, test=0.1)


@pytest.fixture
def objective(small_parts) -> RungObjective:
    return RungObjective(replace(small_parts, test=()), "lines", operations=2e8)
