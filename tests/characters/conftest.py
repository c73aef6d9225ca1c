"""A fixture: a chat model that is trained on a table of questions, in seconds."""

import pytest
from trainings import QUESTIONS, talks

from microgpt import TrainResult, train


@pytest.fixture(scope="session")
def result() -> TrainResult:
    pytest.importorskip("microgpt_engine")
    return train(talks(QUESTIONS))
