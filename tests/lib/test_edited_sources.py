import pytest

from microgpt import InferenceGpt, TrainConfig, train
from microgpt.edited_sources import IMPLEMENTED, file_hashes
from microgpt.errors import ConfigError
from microgpt.plugins import EngineWarning

DOCS = ["anna", "emma"]


def test_the_recorded_hashes_match_the_reference_sources() -> None:
    """If this test fails after a change of both engines, copy the hashes to edited_sources.py."""
    assert file_hashes() == IMPLEMENTED


@pytest.mark.compiled
def test_edited_sources_run_only_on_the_reference_engine(edited) -> None:
    with pytest.raises(ConfigError, match=r"model\.py has been edited"):
        train(DOCS, config=TrainConfig(engine="compiled"))
    with pytest.warns(EngineWarning, match=r"model\.py has been edited"):
        result = train(DOCS, config=TrainConfig(steps=2))
    assert [*result.plan.edited_sources] == ["model.py"]
    with pytest.raises(ConfigError, match=r"model\.py has been edited"):
        InferenceGpt(result, engine="compiled").generate(1)
    with pytest.warns(EngineWarning, match=r"model\.py has been edited"):
        assert InferenceGpt(result).generate(1)
