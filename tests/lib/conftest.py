"""What the tests of the library share."""

from dataclasses import replace
from functools import partial

import pytest

from microgpt.config import EngineName, TrainConfig
from microgpt.training.train import train as train_model


@pytest.fixture(params=["compiled", "reference"])
def train(request):
    """`train` with either engine: what it promises, it promises of both."""
    return partial(train_with, request.param)


def train_with(engine: EngineName, docs, *, config: TrainConfig | None = None, **options):
    """Train with an engine."""
    config = replace(config or TrainConfig(), engine=engine)
    return train_model(docs, config=config, **options)
