"""What the tests of the library share."""

from functools import partial

import pytest

from microgpt import InferenceGpt
from microgpt.training.train import train as train_model


@pytest.fixture(params=["compiled", "reference"])
def train(request):
    """`train` with either engine: what it promises, it promises of both."""
    return partial(train_model, engine=request.param)


@pytest.fixture(scope="session")
def text(text_result) -> InferenceGpt:
    """A small model of a few names, in use."""
    return InferenceGpt(text_result)


@pytest.fixture(scope="session")
def chat(chat_result) -> InferenceGpt:
    """A small model that answers "hi" with "yo", in use."""
    return InferenceGpt(chat_result)
