from dataclasses import replace

import pytest

from microgpt import ModelConfig, TrainConfig
from microgpt.errors import ConfigError
from microgpt.settings import FIELDS, PRESETS, Settings, preset_settings, with_given


def test_given_settings_replace_only_their_own_defaults() -> None:
    settings = Settings.from_dict({"n_embd": 32, "steps": 5})
    assert with_given(ModelConfig(), vars(settings)).n_embd == 32
    assert with_given(TrainConfig(), vars(settings)) == TrainConfig(steps=5)
    assert replace(settings, n_embd=16, steps=1000) == Settings()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_contains_only_valid_settings(name) -> None:
    given = preset_settings(name)
    assert {each: getattr(Settings.from_dict(given), each) for each in given} == given
    assert PRESETS[name].keys() - given.keys() <= {"data", "reader"}


@pytest.mark.parametrize("name", FIELDS)
def test_the_error_for_a_wrong_setting_gives_its_name_and_value(name) -> None:
    wrong = "?" if FIELDS[name].type not in (str, str | None) else 5
    with pytest.raises(ConfigError) as error:
        Settings(**{name: wrong})
    assert name in str(error.value)
    assert str(wrong) in str(error.value)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown setting 'n_embed'; use one of n_embd, "):
        Settings.from_dict({"n_embed": 16})


@pytest.mark.parametrize(
    "given",
    [
        {"minutes": 1, "chat": True, "me": "Ann", "text": "lines"},
        {"architecture": "portable", "column": None, "chat": False},
        {"tokenizer": "bpe", "vocab_size": 500},
    ],
)
def test_settings_that_do_not_conflict_are_accepted(given) -> None:
    settings = Settings.from_dict(given)
    assert {name: getattr(settings, name) for name in given} == given
