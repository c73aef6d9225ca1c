from typing import get_args, get_type_hints

import pytest

from microgpt_evolution.commands.evolve import evolve
from microgpt_evolution.genome_file import ObjectiveName
from microgpt_evolution.objectives.fitness import LossName
from microgpt_evolution.objectives.scores import HeadName


@pytest.mark.parametrize(
    ("option", "choices"),
    [
        ("fitness", LossName),
        ("head", HeadName),
        ("objective", ObjectiveName),
    ],
)
def test_evolve_offers_exactly_the_choices_of_the_search_library(option, choices) -> None:
    """The command repeats them, because its help must not import the search."""
    annotated = get_type_hints(evolve)[option]
    literals = [annotated, *get_args(annotated)]
    assert any(get_args(literal) == get_args(choices) for literal in literals)
