"""What the tests of the library share."""

from functools import partial

import pytest

from microgpt.training.train import train as train_model


@pytest.fixture(params=["compiled", "reference"])
def train(request):
    """`train` with either engine: what it promises, it promises of both."""
    return partial(train_model, engine=request.param)
