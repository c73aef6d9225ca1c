import pytest

from microgpt import InferenceGpt, TrainConfig, train
from microgpt.edited_sources import FOLDER, IMPLEMENTED, UNCHANGED, code_hash, files_hash
from microgpt.errors import ConfigError
from microgpt.plugins import EngineWarning

DOCS = ["anna", "emma"]
SOURCE = '''"""A docstring."""
def f(x):
    return x + 1
'''


def test_the_recorded_hashes_match_the_reference_sources() -> None:
    """After a change of both engines, replace the constants in edited_sources.py by these."""
    now = {name: code_hash((FOLDER / name).read_text("utf-8")) for name in IMPLEMENTED}
    assert (now, files_hash()) == (IMPLEMENTED, UNCHANGED)


def test_only_a_change_of_the_code_changes_the_code_hash() -> None:
    for same in ("Another.", 'docstring."""\n# A comment.\n"""'):
        assert code_hash(SOURCE.replace("docstring.", same)) == code_hash(SOURCE)
    assert code_hash(SOURCE.replace("x + 1", "(x +\n            1)")) == code_hash(SOURCE)
    for other in ("x - 1", "x + 1.0", "x + True", "1 + x", "y + 1", "-x + 1"):
        assert code_hash(SOURCE.replace("x + 1", other)) != code_hash(SOURCE)


def test_the_compiled_engine_refuses_edited_sources(edited) -> None:
    with pytest.raises(ConfigError, match=r"model\.py has been edited"):
        train(DOCS, config=TrainConfig(engine="compiled"))
    with pytest.warns(EngineWarning, match=r"model\.py has been edited"):
        result = train(DOCS, config=TrainConfig(steps=2))
    assert [*result.plan.edited_sources] == ["model.py"]
    with pytest.raises(ConfigError, match=r"model\.py has been edited"):
        InferenceGpt(result, engine="compiled").generate(1)
    with pytest.warns(EngineWarning, match=r"model\.py has been edited"):
        assert InferenceGpt(result).generate(1)
