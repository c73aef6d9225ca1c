from dataclasses import fields
from typing import get_args

import pytest

from microgpt import ModelConfig, TrainConfig
from microgpt.training.options import TrainOptions
from microgpt.training.presets import PRESETS, PresetName


@pytest.mark.parametrize("name", get_args(PresetName))
def test_a_preset_expands_to_a_set_of_options(name: PresetName) -> None:
    options = TrainOptions.of_preset(name)
    assert options.shape() == PRESETS[name].model
    assert options.applied_to(TrainConfig()) == PRESETS[name].config
    assert {*options.given.values()} == {f"--preset {name}"}


@pytest.mark.parametrize("kind", [ModelConfig, TrainConfig])
def test_options_and_config_fields_have_the_same_defaults(kind: type) -> None:
    others = {"text", "vocab_size"}  # found in the documents, and in the tokenizer
    options = {each.name: each.default for each in fields(TrainOptions)}
    for setting in fields(kind):
        if setting.name in options.keys() - others:
            assert options[setting.name] == setting.default, setting.name
