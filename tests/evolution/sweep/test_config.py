import pytest

from microgpt import ModelConfig, TrainConfig
from microgpt_evolution.errors import GenomeError
from microgpt_evolution.sweep.config import SETTINGS, SweepConfig, differing


def test_the_default_config_is_karpathys_run() -> None:
    assert SweepConfig().model(vocab_size=27) == ModelConfig(vocab_size=27)
    assert SweepConfig().train_config(seed=42) == TrainConfig(lr=0.005)


@pytest.mark.parametrize(
    "settings",
    [{"n_embd": 30}, {"steps": 0}, {"lr": -1}, {"batch_size": 0}, {"block_size": 0}],
)
def test_an_impossible_config_is_refused(settings) -> None:
    with pytest.raises(GenomeError, match=next(iter(settings))):
        SweepConfig(**settings)


def test_configs_are_labelled_by_their_differences() -> None:
    configs = [
        SweepConfig(steps=21_000, lr=0.02),
        SweepConfig(steps=21_000),
        SweepConfig(steps=21_000, n_layer=2),
    ]
    assert differing(configs) == ["n_layer", "lr"]
    assert configs[0].describe(["steps", "lr"]) == "steps 21,000, lr 0.02"


def test_every_setting_is_an_option_of_train() -> None:
    options = {*ModelConfig.__dataclass_fields__, *TrainConfig.__dataclass_fields__, "dtype"}
    assert options > set(SETTINGS)
