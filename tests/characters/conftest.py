"""A fixture: a chat model, trained in seconds on a table of questions."""

import pytest
from trainings import QUESTIONS, talks

from microgpt import TrainResult, train


@pytest.fixture(scope="session")
def result() -> TrainResult:
    pytest.importorskip("microgpt_engine")
    return train(talks(QUESTIONS))
