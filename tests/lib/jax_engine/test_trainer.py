"""The JAX engine against the compiled one: losses, states, and what it refuses."""

import random
import sys
from dataclasses import replace

import numpy as np
import pytest
from small_engines import run_to

from microgpt import ModelConfig, TrainConfig, load_text, train
from microgpt.config import default_lr
from microgpt.data.documents import bundled
from microgpt.data.token_dataset import TokenDataset
from microgpt.data.tokenizer import CharTokenizer
from microgpt.engine.compiled_model import CompiledModel
from microgpt.engine.training.trainer import CompiledEngine
from microgpt.engine.weights import initial_weights
from microgpt.errors import ConfigError
from microgpt.training.engines import make_nll
from microgpt.training.train import DivergedError

jax = pytest.importorskip("jax", reason="JAX is not installed; run: uv sync --group jax")

from microgpt.jax_engine import step as jax_step  # noqa: E402
from microgpt.jax_engine import trainer  # noqa: E402
from microgpt.jax_engine.trainer import JaxEngine  # noqa: E402

TOLERANCE = {"float64": 1e-9, "float32": 1e-4}  # nats; measured: 3e-15 and 3e-6
N_STEPS = 200
NAMES = load_text(bundled("names.txt"))[::13]
TOKENIZER = CharTokenizer.from_documents(NAMES)
SMALL = ModelConfig(n_embd=4, n_head=2, block_size=8)
KARPATHYS = ModelConfig(vocab_size=TOKENIZER.vocab_size)
WIDE = replace(KARPATHYS, n_embd=36, n_head=3, n_layer=3)
VARIANTS = {
    "positions": "rotary", "token_shift": True, "activation": "relu2", "qk_norm": True,
    "final_norm": True, "out_scale": 0.5,
}  # fmt: skip
ALL = replace(WIDE, **VARIANTS)
REGULARISED = {"dropout": 0.2, "weight_decay": 0.1, "warmup_steps": 20, "batch_size": 4}
CASES = {
    "Karpathy": (KARPATHYS, {}),
    "regularised": (KARPATHYS, REGULARISED),
    **{name: (replace(KARPATHYS, **{name: each}), {}) for name, each in VARIANTS.items()},
    "all": (ALL, REGULARISED),
    "muon": (replace(WIDE, n_ff_exp=1), {"optimizer": "muon", "batch_size": 8}),
    "all, muon": (ALL, {**REGULARISED, "optimizer": "muon"}),
}


def dataset(*, masked: bool = False, soft: bool = False) -> TokenDataset:
    """Return a few hundred names, which the steps read more than once."""
    rng, docs = random.Random(7), TokenDataset()
    for name in NAMES[:300]:
        doc = TOKENIZER.encode_document(name)[:17]
        docs.append(doc, bytes(rng.randrange(2) for _ in doc) if masked else None)
    if soft:
        shape = len(docs.tokens) - len(docs), TOKENIZER.vocab_size
        draws = np.random.default_rng(7).random(shape, np.float32) ** 9
        docs.soft_targets = draws / draws.sum(1, keepdims=True)
    return docs


def engines(model: ModelConfig, config: TrainConfig, docs, dtype: str):
    """Return a compiled engine and a JAX engine with the same random weights."""
    made = [kind(model, config, docs, dtype=dtype) for kind in (CompiledEngine, JaxEngine)]
    for engine in made:
        engine.set_weights(initial_weights(model, random.Random(3)))
    return made


def assert_same_run(model: ModelConfig, config: TrainConfig, docs, dtype: str) -> None:
    compiled, ours = engines(model, config, docs, dtype)
    losses = [run_to(engine, N_STEPS) for engine in (compiled, ours)]
    assert len(losses[1]) == N_STEPS
    assert losses[1] == pytest.approx(losses[0], rel=0, abs=TOLERANCE[dtype])
    assert ours.backward() == pytest.approx(compiled.backward(), abs=TOLERANCE[dtype])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "dtype"),
    [*((case, "float32") for case in CASES), ("all", "float64"), ("all, muon", "float64")],
)
def test_the_first_200_losses_are_those_of_compiled(case, dtype) -> None:
    model, settings = CASES[case]
    config = TrainConfig(steps=N_STEPS, lr=default_lr(model.n_embd), **settings)
    assert_same_run(model, config, dataset(), dtype)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masked", "soft"])
def test_masked_and_soft_targets_give_the_same_losses(kind) -> None:
    config = TrainConfig(steps=N_STEPS, batch_size=3)
    assert_same_run(KARPATHYS, config, dataset(**{kind: True}), "float32")


@pytest.mark.slow
def test_recomputed_blocks_give_the_same_losses(monkeypatch) -> None:
    monkeypatch.setattr(jax_step, "RECOMPUTED", 0)
    jax.clear_caches()  # the programs of other tests do not recompute
    config = TrainConfig(steps=N_STEPS, **REGULARISED)
    assert_same_run(replace(ALL, n_layer=2), config, dataset(), "float64")
    jax.clear_caches()


@pytest.mark.slow
def test_bfloat16_rounds_the_activations_alone() -> None:
    config = TrainConfig(steps=N_STEPS, batch_size=4)
    rounded = JaxEngine(KARPATHYS, replace(config, bfloat16=True), dataset(), dtype="float32")
    rounded.set_weights(initial_weights(KARPATHYS, random.Random(3)))
    exact, _ = engines(KARPATHYS, config, dataset(), "float32")
    losses, expected = (run_to(engine, N_STEPS) for engine in (rounded, exact))
    assert losses == pytest.approx(expected, abs=0.05)  # 8 bits of each number
    assert max(abs(a - b) for a, b in zip(losses, expected, strict=True)) > 1e-4
    assert rounded.flat_weights().dtype == np.float32


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("engines", [("compiled", "jax"), ("jax", "compiled")], ids="-".join)
def test_each_engine_resumes_the_state_of_the_other(engines, dtype) -> None:
    first, second = engines
    config = TrainConfig(steps=60, average_tail=0.5, **REGULARISED)
    options = {"model": SMALL, "config": config, "dtype": dtype}
    whole = train(NAMES[:50], **options)
    part = train(NAMES[:50], **options, engine=first, until=35)
    assert part.state.step == 35
    rest = train(NAMES[:50], **options, engine=second, resume=part.state)
    tolerance = TOLERANCE[dtype]
    assert [*part.losses, *rest.losses] == pytest.approx(whole.losses, abs=tolerance)
    assert list(rest.state.weights) == pytest.approx(whole.state.weights, abs=tolerance)
    assert rest.state.average.n == whole.state.average.n


@pytest.mark.slow
def test_undo_returns_to_the_step_before() -> None:
    config = TrainConfig(steps=N_STEPS)
    _, engine = engines(KARPATHYS, config, dataset(), "float64")
    run_to(engine, 40)
    expected = engine.flat_weights()
    run_to(engine, 41)
    engine.undo()
    assert engine.n_steps == 40
    assert engine.flat_weights() == pytest.approx(expected, abs=1e-15)


@pytest.mark.slow
def test_a_divergence_keeps_the_last_good_model() -> None:
    options = {"model": SMALL, "config": TrainConfig(steps=5, lr=1e200)}
    with pytest.raises(DivergedError) as caught:
        train(NAMES[:9], **options, engine="jax")
    result = caught.value.result
    assert len(result.losses) == result.state.step
    assert np.isfinite(np.asarray(result.state.weights)).all()
    assert np.isfinite(np.asarray(result.losses)).all()


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True])
def test_the_held_out_loss_is_that_of_compiled(masked, monkeypatch) -> None:
    monkeypatch.setattr(trainer, "EVALUATED", 500)  # the last batch is not full
    weights, docs = initial_weights(ALL, random.Random(3)), dataset(masked=masked)
    expected = CompiledModel(ALL, weights, "float64").nll(docs)
    assert make_nll("jax", "float64", ALL, weights)(docs) == pytest.approx(expected, rel=1e-12)


def test_a_missing_jax_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ConfigError, match=r"the extra jax .*install 'microgpt-lib\[jax\]'"):
        train(NAMES[:9], engine="jax")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "jax", "threads": 2}, "the jax engine uses the threads that JAX starts; omit"),
        ({"config": TrainConfig(bfloat16=True)}, "bfloat16 requires the jax engine"),
        (
            {"engine": "jax", "dtype": "float64", "config": TrainConfig(bfloat16=True)},
            "bfloat16 requires the jax engine and float32 weights",
        ),
    ],
)
def test_settings_that_an_engine_does_not_have_are_refused(settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        train(NAMES[:9], model=SMALL, **settings)


def test_a_missing_device_is_named() -> None:
    with pytest.raises(ConfigError, match="JAX finds no such device"):
        trainer.use_device("tpu")


def test_a_device_without_enough_memory_is_named() -> None:
    message = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\nMore lines"
    with (
        pytest.raises(ConfigError, match=r"the device has not enough memory .* 9 bytes"),
        trainer.device_errors(),
    ):
        raise jax.errors.JaxRuntimeError(message)


@pytest.mark.slow
def test_a_model_that_does_not_fit_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("microgpt.resource_limits.free_bytes", lambda: 2**20)
    monkeypatch.setattr("microgpt.resource_limits.NEGLIGIBLE", 2**20)
    with pytest.raises(ConfigError, match=r"training this model with JAX needs .* bytes of memory"):
        JaxEngine(ALL, TrainConfig(batch_size=64), dataset(), dtype="float32")


def test_the_jax_engine_refuses_edited_sources(edited) -> None:
    with pytest.raises(ConfigError, match=r"model\.py has been edited, and the jax engine"):
        train(NAMES[:9], model=SMALL, engine="jax")
