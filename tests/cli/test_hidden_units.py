from dataclasses import replace

from commands import ok

from microgpt import ModelConfig, TrainConfig, train
from microgpt_cli.hidden_units import note_on_units

DOCS = ["anna", "mia", "bob"]


def test_a_model_with_few_active_units_is_told() -> None:
    shape = ModelConfig(n_embd=8, n_head=2, n_layer=1, block_size=8)
    result = train(DOCS, model=shape, config=TrainConfig(steps=1))
    assert note_on_units(result, DOCS) is None
    dead = {**result.weights, "layer0.mlp_fc1": [[0.0] * 8] * 32}
    line = note_on_units(replace(result, weights=dead), DOCS)
    assert line.startswith("of 32 hidden units, 0 are active")
    assert "--learning-rate" in line


def test_other_architectures_and_large_models_are_not_measured() -> None:
    shape = ModelConfig(n_embd=8, n_head=2, n_layer=1, block_size=8, architecture="modern")
    result = train(DOCS, model=shape, config=TrainConfig(steps=1))
    assert note_on_units(result, DOCS) is None
    wide = ModelConfig(n_embd=256, n_head=2, n_layer=1, block_size=8)
    assert note_on_units(train(DOCS, model=wide, config=TrainConfig(steps=1)), DOCS) is None


def test_train_tells_a_loss_what_it_is_worth(microgpt) -> None:
    """A default run only knows the uniform guess; one with held-out names also counts."""
    done = ok(microgpt("train", "--steps", "20", "-n", "0", "--model", "a"))
    assert "a uniform guess has a loss of 3.2958" in done.stderr
    held_out = ("--val-fraction", "0.1", "--steps", "20", "-n", "0", "--model", "b")
    done = ok(microgpt("train", *held_out))
    assert "; a uniform guess 3.30, pairs 2.46, n-grams 2.0" in done.stderr
    assert "a uniform guess 3.30, pairs 2.46, n-grams 2.0" in ok(microgpt("info", "b")).stdout
    assert "baselines:" in ok(microgpt("info", "a")).stdout
