import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_shapes import shapes
from training_states import StatesEvery

from microgpt import ModelConfig, TrainConfig, train
from microgpt.data.token_dataset import TokenDataset
from microgpt.model import init_weights
from microgpt.model_variants import init_variant
from microgpt.muon import orthogonalized
from microgpt.training.engines import make_training
from microgpt_engine.weight_layout import initial_weights

DOCS = ["anna", "bella", "carla", "dora", "emma", "fred", "gina", "hugo"] * 4
MODERN = ModelConfig(n_embd=24, n_head=2, n_layer=2, block_size=8, architecture="modern")
CONFIG = TrainConfig(steps=24, batch_size=6, optimizer="muon", warmup_steps=5, weight_decay=0.1)


@pytest.mark.parametrize("shape", [(8, 8), (24, 6), (6, 24), (1, 5)])
def test_orthogonalizing_brings_singular_values_close_to_1(shape: tuple[int, int]) -> None:
    rng = random.Random(1)
    matrix = np.array([[rng.gauss(0, 0.01) for _ in range(shape[1])] for _ in range(shape[0])])
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    found = np.array(orthogonalized(matrix.tolist()))
    values = np.diag(u.T @ found @ v.T)
    assert ((values > 0.6) & (values < 1.3)).all()
    assert np.allclose(found, u * values @ v)


@settings(max_examples=5)
@given(shapes(max_block_size=6), st.integers(0, 2**32))
def test_both_engines_make_the_same_updates_with_muon(model: ModelConfig, seed: int) -> None:
    rng = random.Random(seed)
    tokens = [
        [rng.randrange(model.vocab_size) for _ in range(model.block_size + 1)] for _ in range(5)
    ]
    config = replace(CONFIG, steps=6, batch_size=2)
    weights, losses = [], []
    for engine in ("compiled", "reference"):
        docs, rng = TokenDataset.from_documents(tokens), random.Random(seed)
        made = make_training(model, replace(config, engine=engine, dtype="float64"), docs, rng, 1)
        found: list[float] = []
        while made.n_steps < config.steps:
            found += made.run(config.steps)
        losses.append(found)
        weights.append(made.flat_weights().tolist())
    assert losses[0] == pytest.approx(losses[1], rel=1e-10)
    assert weights[0] == pytest.approx(weights[1], rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_threads_and_resuming_do_not_change_the_trained_weights(optimizer) -> None:
    model = replace(MODERN, n_embd=64, n_layer=3)  # large enough to use threads
    config = replace(CONFIG, steps=8, batch_size=32, optimizer=optimizer, dropout=0.1)
    kept = StatesEvery(3)
    whole = train(DOCS, model=model, config=config, hooks=[kept])
    assert train(DOCS, model=model, config=config, threads=2).weights == whole.weights
    (state,) = [state for state in kept.states if state.step == 3]
    resumed = train(DOCS, model=model, config=config, resume=state, threads=2)
    assert resumed.weights == whole.weights
    assert resumed.state.adam_m.tolist() == whole.state.adam_m.tolist()


def test_modern_initial_weights_are_scaled_alike_in_both_engines() -> None:
    model = replace(MODERN, vocab_size=5)
    weights = init_variant(model, random.Random(0))
    assert [*weights][:2] == ["wte", "lm_head"]  # the modern architecture has no wpe
    flat = [number for matrix in weights.values() for row in matrix for number in row]
    assert initial_weights(model, random.Random(0)).tolist() == flat
    plain = init_weights(model, random.Random(0))
    assert weights["layer0.attn_wo"][1][2] == 0.1 * plain["layer0.attn_wo"][1][2]
    assert weights["layer0.attn_wq"] == plain["layer0.attn_wq"]
