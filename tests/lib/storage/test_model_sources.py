import shutil
from pathlib import Path

import pytest

from microgpt.errors import ConfigError, MicrogptError
from microgpt.storage.model_sources import model_sources


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
    assert [(one.name, one.directory) for one in sources] == [
        ("x=y", Path("x=y")),
        ("names", models / "names"),
        ("mine", models / "talk"),
    ]
    assert [one.name for one in model_sources("a,b")] == ["a,b"]


def test_a_directory_of_models_gives_each_of_them(models) -> None:
    assert [one.name for one in model_sources("models")] == ["names", "talk"]


def test_the_default_is_output_or_else_the_demo(models) -> None:
    (demo,) = model_sources(None)
    assert (demo.name, demo.is_demo) == ("demo", True)
    shutil.copytree(models / "names", "output")
    (output,) = model_sources(None)
    assert (output.name, output.is_demo) == ("output", False)


def test_two_models_of_one_name_and_a_missing_one_are_refused(models) -> None:
    with pytest.raises(ConfigError, match="the same name, names; choose names with NAME=DIR"):
        model_sources(["models/names", "names=models/talk"])
    with pytest.raises(MicrogptError, match="none"):
        model_sources("none")
