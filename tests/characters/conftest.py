"""A fixture that returns a chat model trained on a table of three questions."""

import pytest
from trainings import QUESTIONS, talks

from microgpt import TrainResult, train


@pytest.fixture(scope="session")
def result() -> TrainResult:
    pytest.importorskip("microgpt_engine")
    return train(talks(QUESTIONS))
