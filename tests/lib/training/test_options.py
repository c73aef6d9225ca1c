from dataclasses import fields
from typing import get_args

import pytest

from microgpt import ModelConfig, TrainConfig
from microgpt.errors import ConfigError
from microgpt.training.options import TrainOptions
from microgpt.training.presets import PRESETS, PresetName


@pytest.mark.parametrize(
    ("size", "n"),
    [("500MB", 500_000_000), ("2GB", 2e9), ("1.5k", 1500), ("12", 12), ("3 kB", 3000)],
)
def test_memory_sizes_are_given_in_decimal_units(size, n) -> None:
    assert TrainOptions(max_memory=size).max_bytes == n


def test_a_memory_size_without_a_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="'GB' is not a size"):
        TrainOptions(max_memory="GB").check_ranges()


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


def test_every_command_line_option_has_a_help_text_and_a_panel() -> None:
    recorded = {"n_tokens", "evaluations", "shuffle", "n_teachers", "student_length"}
    for each in fields(TrainOptions):
        rule = TrainOptions.setting(each.name)
        assert rule.help.endswith((".", "]"))
        assert bool(rule.panel) != (each.name in recorded)
