import shutil
from pathlib import Path

import pytest

from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.storage.model_directory import model_sources


@pytest.fixture
def models(text_model, tmp_path, monkeypatch) -> Path:
    """A directory with two models, in the working directory."""
    for name in ("names", "talk"):
        shutil.copytree(text_model, tmp_path / "here/models" / name)
    monkeypatch.chdir(tmp_path / "here")
    return Path("models")


def test_paths_name_models(models) -> None:
    for name in ("x=y", "a,b"):
        shutil.copytree(models / "names", name)
    sources = model_sources("x=y, models/names, mine=models/talk")
    assert [*sources.items()] == [
        ("x=y", Path("x=y")),
        ("names", models / "names"),
        ("mine", models / "talk"),
    ]
    assert [*model_sources("a,b")] == ["a,b"]


def test_a_directory_of_models_gives_each_of_them(models) -> None:
    assert [*model_sources("models")] == ["names", "talk"]


def test_the_default_is_output_or_else_the_demo(models) -> None:
    assert model_sources(None) == {"demo": bundled(DEMO_MODEL)}
    shutil.copytree(models / "names", "output")
    assert model_sources(None) == {"output": Path("output")}
