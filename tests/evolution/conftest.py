"""Fixtures for tests of evolution: organisms with given fitness, and a small genome."""

import functools
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import commands
import pytest
from searches import write_names

from microgpt_evolution.genome import PRIMORDIAL, Genome
from microgpt_evolution.strategies.organism import Organism, rank
from microgpt_evolution.trial import Evaluation

Searched = Callable[..., tuple[subprocess.CompletedProcess[str], Path]]
MakeOrganism = Callable[..., Organism]


@pytest.fixture(scope="session")
def make_organism() -> MakeOrganism:
    """A function that makes an organism with the given genes, and a fitness or a failure."""

    def make(
        fitness=None, *, status="ok", origin="random", generation=1, slot=1, seed=0, **genes
    ) -> Organism:
        evaluation = None
        if fitness is not None or status != "ok":
            evaluation = Evaluation(status, fitness if status == "ok" else float("inf"), fitness)
        genome = replace(PRIMORDIAL, **genes)
        return Organism(genome, seed, f"g{generation}-{slot}", origin, evaluation=evaluation)

    return make


@pytest.fixture(scope="session")
def make_ranked(make_organism) -> Callable[..., list[Organism]]:
    """A function that makes a ranked generation with given fitness; None stands for a crash."""

    def make(fitnesses, **facts) -> list[Organism]:
        organisms = []
        for i, fitness in enumerate(fitnesses, start=1):
            status = "crashed" if fitness is None else "ok"
            organisms.append(make_organism(fitness, status=status, slot=i, **facts))
        return rank(organisms)

    return make


@pytest.fixture(scope="session")
def small() -> Genome:
    """The genome of a small model with Karpathy's architecture, for a search with a budget."""
    return Genome(
        n_embd=8, n_layer=1, n_head=2, n_ff_exp=2, block_size=8, n_tokens=40, lr=0.01
    )  # fmt: skip


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """A function that runs a search once for all tests, which must not change its files."""

    @functools.cache
    def search(*options: str) -> tuple[subprocess.CompletedProcess[str], Path]:
        folder = tmp_path_factory.mktemp("searched")
        write_names(folder)
        return commands.run("evolve", *options, cwd=folder, check=True), folder

    return search
