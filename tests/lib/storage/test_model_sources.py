import shutil
from pathlib import Path

import pytest

from microgpt.errors import ConfigError, MicrogptError
from microgpt.storage.model_sources import model_sources


@pytest.fixture
def home(text_model, tmp_path, monkeypatch) -> Path:
    """The directory of saved models, with two models; the working directory is another one."""
    for name in ("names", "talk"):
        shutil.copytree(text_model, tmp_path / "home" / name)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MICROGPT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_paths_and_names_of_the_home_name_models(home) -> None:
    shutil.copytree(home / "names", "x=y")
    sources = model_sources("x=y, names, mine=talk")
    assert [(one.name, one.directory) for one in sources] == [
        ("x=y", Path("x=y")),
        ("names", home / "names"),
        ("mine", home / "talk"),
    ]
    shutil.copytree(home / "names", "a,b")
    assert [one.name for one in model_sources("a,b")] == ["a,b"]


def test_a_directory_of_models_gives_each_of_them(home) -> None:
    assert [one.name for one in model_sources(str(home))] == ["names", "talk"]


def test_the_default_is_output_or_else_the_demo(home) -> None:
    (demo,) = model_sources(None)
    assert (demo.name, demo.is_demo) == ("demo", True)
    shutil.copytree(home / "names", "output")
    (output,) = model_sources(None)
    assert (output.name, output.is_demo) == ("output", False)


def test_two_models_of_one_name_and_a_missing_one_are_refused(home) -> None:
    with pytest.raises(ConfigError, match="the same name, names; choose names with NAME=DIR"):
        model_sources(["names", str(home / "names")])
    with pytest.raises(MicrogptError, match="none"):
        model_sources("none")
    (missing,) = model_sources("none", allow_missing=True)
    assert (missing.name, missing.is_missing) == ("none", True)
