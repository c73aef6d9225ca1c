"""Fixtures for the tests of the library: files, and training with each engine."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from microgpt.config import EngineName, TrainConfig
from microgpt.training.train import train as train_model


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a text or bytes to a file, and returns the path."""

    def write(content: str | bytes, name: str = "data.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture(params=["compiled", "reference"])
def train(request):
    """`microgpt.train`; tests run once with each of the two engines."""
    return partial(train_with, request.param)


def train_with(engine: EngineName, docs, *, config: TrainConfig | None = None, **options):
    config = replace(config or TrainConfig(), engine=engine)
    return train_model(docs, config=config, **options)
