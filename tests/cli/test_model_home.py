"""Models of the user, which commands find by their names in MICROGPT_HOME."""

from pathlib import Path

import pytest
from commands import ok

from microgpt.storage.model_home import find_model, model_home


@pytest.fixture
def home(text_model, chat_model, tmp_path, monkeypatch) -> Path:
    """A home with the models `my-names` and `my-bot`."""
    directory = tmp_path / "home"
    directory.mkdir()
    (directory / "my-names").symlink_to(text_model)
    (directory / "my-bot").symlink_to(chat_model)
    monkeypatch.setenv("MICROGPT_HOME", str(directory))
    return directory


def test_commands_find_models_by_name_from_any_folder(microgpt, home, text_model) -> None:
    for command in (
        ["info", "my-names"],
        ["generate", "--model", "my-names"],
        ["explain", "my-names", "anna"],
        ["train", "--from", "my-names", "--steps", "2", "--data", "more.txt", "--force"],
    ):
        (home.parent / "more.txt").write_text("anna\nmia\n" * 9)
        named = ok(microgpt(*command))
        given = ok(microgpt(*[text_model if one == "my-names" else one for one in command]))
        assert named.stdout == given.stdout
    assert ok(microgpt("generate", "my-names", "-n", 2)).stdout.count("sample") == 2
    assert ok(microgpt("chat", "my-bot", stdin="hi\n")).stdout == "yo\n"


def test_a_path_that_exists_comes_before_a_name(home, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_model("my-bot") == home / "my-bot"
    Path("my-bot").mkdir()
    assert find_model("my-bot") == Path("my-bot")
    assert find_model(home / "my-bot") == home / "my-bot"


@pytest.mark.parametrize(
    "command",
    [["generate", "--model"], ["chat", "--model"], ["info"], ["serve"], ["train", "--from"]],
)
def test_a_missing_model_names_both_places(microgpt, home, command) -> None:
    told = f"error: nowhere does not exist, here or in {home}; use a directory written by"
    done = microgpt(*command, "nowhere")
    assert (done.returncode, done.stderr[: len(told)]) == (2, told)
    other = microgpt(*command, "a/nowhere")
    assert other.stderr.startswith("error: a/nowhere does not exist; use a directory")


def test_the_default_home_is_that_of_the_platform(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("MICROGPT_HOME", "")
    assert model_home() == tmp_path / "microgpt/models"
    monkeypatch.setenv("MICROGPT_HOME", "~/models")
    assert model_home() == Path.home() / "models"
