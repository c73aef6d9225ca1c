"""Models that are trained together, against single trainings of the JAX engine."""

from dataclasses import replace

import numpy as np
import pytest

from microgpt import ModelConfig, TrainConfig, load_text, train
from microgpt.data.documents import bundled
from microgpt.data.split import split
from microgpt.data.tokenizer import CharTokenizer

pytest.importorskip("jax", reason="JAX is not installed; run: uv sync --group jax")

from microgpt.training.together import train_together

pytestmark = pytest.mark.slow  # JAX compiles for seconds
PARTS = split(load_text(bundled("names.txt"))[::20], validation=0.1, test=0.1)
TOKENIZER = CharTokenizer.from_documents(PARTS.docs)
MODEL = ModelConfig(n_embd=8, n_head=2)
BASE = TrainConfig(steps=60, lr=0.01, batch_size=2)
CONFIGS = [
    BASE,
    replace(BASE, seed=7, lr=0.02, warmup_steps=10),
    replace(BASE, steps=40, dropout=0.2),
    replace(BASE, steps=700, weight_decay=0.1),  # reads the documents more than once
]
SETTINGS = {"model": MODEL, "tokenizer": TOKENIZER, "dtype": "float32"}


@pytest.mark.parametrize(
    "common", [{}, {"optimizer": "muon", "average_tail": 0.5}], ids=["adamw", "muon"]
)
def test_models_trained_together_equal_those_trained_alone(common) -> None:
    configs = [replace(config, **common) for config in CONFIGS]
    results = train_together(PARTS, configs, "cpu", **SETTINGS)
    for config, result in zip(configs, results, strict=True):
        alone = train(PARTS, config=config, engine="jax", **SETTINGS)
        assert len(result.losses) == config.steps
        first = slice(0, 60)  # Muon lets rounding grow to 0.1 within 200 steps, in any engine
        assert np.allclose(result.losses[first], alone.losses[first], rtol=0, atol=1e-4)
        assert result.val_loss == pytest.approx(alone.val_loss, abs=5e-3)
        assert (result.ending, result.rng_state) == (alone.ending, alone.rng_state)
        assert result.plan.engine == "jax"


def test_a_diverged_member_does_not_stop_the_others() -> None:
    learnt_from = replace(PARTS, validation=(), test=())
    configs = [BASE, replace(BASE, lr=1e30), replace(BASE, seed=8)]
    good, diverged, other = train_together(learnt_from, configs, "cpu", **SETTINGS)
    assert diverged is None
    for config, result in ((BASE, good), (configs[2], other)):
        alone = train(learnt_from, config=config, engine="jax", **SETTINGS)
        assert np.allclose(result.losses, alone.losses, rtol=0, atol=1e-4)
