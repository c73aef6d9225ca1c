"""Fixtures for tests of evolution commands: names, and a genome of evolve-rust."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest
from searches import write_names

from microgpt_evolution.objectives import loss_objective


@pytest.fixture
def made_up_names(tmp_path: Path) -> None:
    """Write a file of a few hundred made-up names for searches."""
    write_names(tmp_path)


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    """A genome.json in the format of evolve-rust."""
    genes = {"n_emb": 12, "n_ctx": 8, "n_layer": 2, "n_head": 2, "n_ff_exp": 3, "steps": 60}
    path = tmp_path / "genome.json"
    path.write_text(
        json.dumps({**genes, "lr": 0.02, "loss": 1.5, "generation": 3, "evolved": True})
    )
    return path


@pytest.fixture
def stopped_in(monkeypatch) -> Callable[..., contextlib.AbstractContextManager[None]]:
    """A context manager that sends a signal during the n-th training run of a study."""

    @contextlib.contextmanager
    def stopped(n: int, number: int, objective: ModuleType = loss_objective) -> Iterator[None]:
        train, calls = objective.train, count(1)

        def counted(*args: object, **options: object) -> object:
            if next(calls) == n:
                os.kill(os.getpid(), number)
                while not options["hooks"][-1].should_stop():
                    time.sleep(0.01)
            return train(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(objective, "train", counted)
            yield

    return stopped
