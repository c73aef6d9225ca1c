"""Compare losses, gradients and updates of the compiled engine with the reference engine."""

import math
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import ok, run_process
from hypothesis import example, given, settings
from hypothesis import strategies as st
from model_shapes import shapes
from small_engines import numbers, run_to

from microgpt import ModelConfig, TrainConfig, count_params
from microgpt.data.token_dataset import TokenDataset
from microgpt.model import init_weights, weight_shapes
from microgpt.model_variants import Dropout, GptVariant, batch_dropout
from microgpt.parameters import by_name
from microgpt.reference import ReferenceEngine
from microgpt.reference_engine import compute_gradients
from microgpt_engine.trainer import CompiledTraining

# The tolerance is relative to the largest gradient of a matrix; the measured errors are 1e-14 for
# float64 and 5e-6 for float32 (docs/measurements/same_numbers.md).
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
DTYPES = list(TOLERANCE)


def random_docs(model: ModelConfig, lengths: list[int], rng: random.Random) -> list[list[int]]:
    """Return random documents with the given numbers of predictions, but at most `block_size`."""
    return [
        [rng.randrange(model.vocab_size) for _ in range(min(length, model.block_size) + 1)]
        for length in lengths
    ]


def make(model: ModelConfig, config: TrainConfig, docs, weights, dtype: str) -> CompiledTraining:
    """Return a compiled engine with the given weights."""
    engine = CompiledTraining(model, config, docs, dtype=dtype)
    zeros = [0.0] * count_params(model)
    engine.resume(0, weights, zeros, zeros)
    return engine


def weights_of(engine: CompiledTraining | ReferenceEngine, model: ModelConfig) -> dict[str, object]:
    """Return the weight matrices of an engine, by the name of the matrix."""
    if isinstance(engine, CompiledTraining):
        return by_name(model, engine.flat_weights().tolist())
    return by_name(model, [param.data for param in engine.params])


def assert_same_gradients(
    compiled: CompiledTraining, reference: ReferenceEngine, model: ModelConfig, tolerance: float
) -> None:
    """Compare the gradients of each matrix, relative to the largest gradient in it."""
    found = by_name(model, compiled.grads().tolist())
    everything = max(abs(param.grad) for param in reference.params)
    largest = {}  # largest error of each matrix, divided by its scale
    for name in weight_shapes(model):
        expected = np.array([[w.grad for w in row] for row in reference.gpt.weights[name]])
        # If a matrix has only tiny gradients, the scale is 1 % of the largest gradient of all; if
        # all gradients are tiny, because the model is certain, the scale is 0.01.
        scale = max(np.abs(expected).max(), 1e-2 * everything, 1e-2)
        largest[name] = np.abs(np.array(found[name]) - expected).max() / scale
    wrong = [f"{name}: {each:.1e}" for name, each in largest.items() if not each <= tolerance]
    assert not wrong, "\n".join(wrong)


@settings(max_examples=12)
@given(
    model=shapes(),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    seed=st.integers(0, 999),
    learnt=st.sampled_from([0.1, 0.5, 1]),
    dropout=st.sampled_from([0, 0.2, 0.7]),
    is_soft=st.booleans(),
)
@example(  # documents longer than a vector, so that attention processes them in several blocks
    model=ModelConfig(n_embd=6, n_head=3, block_size=70, vocab_size=5, init_std=0.4),
    lengths=[70, 3, 37],
    seed=1,
    learnt=1,
    dropout=0.3,
    is_soft=True,
)
@example(  # sizes that fill whole vectors and matrix tiles, and several heads
    model=ModelConfig(n_embd=48, n_head=3, n_layer=2, vocab_size=27, init_std=0.2),
    lengths=[16, 1, 9],
    seed=2,
    learnt=0.5,
    dropout=0.1,
    is_soft=False,
)
@example(  # more tokens than a micro-batch, so gradients are summed over several micro-batches
    model=ModelConfig(n_embd=4, n_head=2, n_ff_exp=1, vocab_size=7, init_std=0.3),
    lengths=[5, 16, 1, 12] * 20,
    seed=3,
    learnt=1,
    dropout=0,
    is_soft=False,
)
def test_the_loss_and_gradients_agree_with_the_reference_engine(
    model, lengths, seed, learnt, dropout, is_soft
) -> None:
    rng = random.Random(seed)
    docs = random_docs(model, lengths, rng)
    masks = [bytes(rng.random() < learnt for _ in doc) for doc in docs]
    masks[0] = masks[0][:-1] + b"\1"  # at least one prediction counts
    config = TrainConfig(batch_size=len(docs), seed=seed, dropout=dropout)
    weights = init_weights(model, rng)
    reference = ReferenceEngine(model, weights, gpt_type=GptVariant)
    dataset = masked(docs, masks)
    if is_soft:
        dataset.soft_targets = distributions(dataset, model, seed)
    targets = [dataset.targets_of(i) for i in range(len(docs))]
    expected = compute_gradients(reference, docs, targets, batch_dropout(config, step=0))
    for dtype, tolerance in TOLERANCE.items():
        compiled = make(model, config, dataset, weights, dtype)
        loss = compiled.backward()
        # An absolute tolerance is also allowed, because the loss of a single token can be tiny.
        assert loss == pytest.approx(expected, rel=tolerance, abs=tolerance)
        assert_same_gradients(compiled, reference, model, tolerance)


def distributions(dataset: TokenDataset, model: ModelConfig, seed: int) -> np.ndarray:
    """Return a random target distribution for each prediction."""
    n = len(dataset.tokens) - len(dataset)
    return np.random.default_rng(seed).dirichlet([0.3] * model.vocab_size, n).astype(np.float32)


def masked(docs: list[list[int]], masks: list[bytes]) -> TokenDataset:
    """Return a dataset of documents in which masks select the predictions that count."""
    dataset = TokenDataset()
    for doc, mask in zip(docs, masks, strict=True):
        dataset.append(doc, mask)
    return dataset


def test_a_batch_without_targets_does_not_change_the_weights() -> None:
    model = ModelConfig(n_embd=8, n_head=2, vocab_size=7)
    weights = init_weights(model, random.Random(1))
    compiled = make(model, TrainConfig(), masked([[6, 1, 6]], [bytes(3)]), weights, "float64")
    reference = ReferenceEngine(model, weights, gpt_type=GptVariant)
    assert run_to(compiled, 2) == [0, 0]
    assert compute_gradients(reference, [[6, 1, 6]], [[None, None]]) == 0
    reference.update(0.01)
    for engine in (compiled, reference):
        assert weights_of(engine, model) == {
            name: tuple(map(tuple, rows)) for name, rows in weights.items()
        }


@pytest.mark.parametrize("regularised", [{}, {"dropout": 0.3, "weight_decay": 0.2}])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("is_soft", [False, True])
def test_engines_make_equal_updates_for_any_batch_size(batch_size, regularised, is_soft) -> None:
    model = ModelConfig(n_embd=6, n_head=2, block_size=5, vocab_size=5)
    rng = random.Random(5)
    docs = TokenDataset(random_docs(model, [5, 1, 3, 4, 2], rng))
    if is_soft:
        docs.soft_targets = distributions(docs, model, 5)
    config = TrainConfig(steps=8, batch_size=batch_size, **regularised)
    weights = init_weights(model, rng)
    compiled = make(model, config, docs, weights, "float64")
    losses = run_to(compiled, config.steps)
    reference = ReferenceEngine(
        model, weights, gpt_type=GptVariant, weight_decay=config.weight_decay
    )
    for step, loss in enumerate(losses):
        first = step * batch_size
        ids = [i % len(docs) for i in range(first, first + batch_size)]
        batch, targets = [docs[i] for i in ids], [docs.targets_of(i) for i in ids]
        expected = compute_gradients(reference, batch, targets, batch_dropout(config, step))
        reference.update(config.lr_at(step))
        assert loss == pytest.approx(expected, rel=1e-12)
    _, adam_m, adam_v = numbers(compiled)
    assert adam_m == pytest.approx(reference.adam_m, rel=1e-9, abs=1e-15)
    assert adam_v == pytest.approx(reference.adam_v, rel=1e-9, abs=1e-18)
    found = weights_of(compiled, model)
    for name, rows in weights_of(reference, model).items():
        np.testing.assert_allclose(found[name], rows, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_infinite_value_is_detected_even_if_it_is_dropped_out(dtype) -> None:
    """If only one engine detected the value, the other would go on training with broken weights."""
    model = ModelConfig(n_embd=4, n_head=2, vocab_size=5)
    drops = (Dropout(0.5, seed, 0) for seed in range(99))
    seed = next(
        i for i, drop in enumerate(drops) if not any(drop([1.0] * 4, n, 1)[0] for n in (0, 1))
    )
    config = TrainConfig(dropout=0.5, seed=seed)
    weights = init_weights(model, random.Random(1))
    weights["layer0.attn_wv"] = [[100.0 * w for w in row] for row in weights["layer0.attn_wv"]]
    weights["layer0.attn_wo"][0] = [float(np.finfo(dtype).max)] * 4
    compiled = make(model, config, [[4, 1, 4]], weights, dtype)
    if dtype == "float64":
        reference = ReferenceEngine(model, weights, gpt_type=GptVariant)
        loss = compute_gradients(reference, [[4, 1, 4]], drops=batch_dropout(config, step=0))
        assert np.isnan(loss)
    assert np.isnan(compiled.backward())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("factor", [10, 1000])
def test_gradients_stay_finite_for_very_large_scores_and_logits(dtype, factor) -> None:
    """One key gets all of the attention weight, and one token gets all of the probability."""
    model = ModelConfig(n_embd=8, n_head=2, vocab_size=7, init_std=0.3)
    rng = random.Random(8)
    docs = random_docs(model, [16, 1, 5], rng)
    weights = init_weights(model, rng)
    for name in ("layer0.attn_wq", "layer0.attn_wk"):
        weights[name] = [[factor * w for w in row] for row in weights[name]]
    weights["lm_head"][0] = [factor * w for w in weights["lm_head"][0]]
    compiled = make(model, TrainConfig(batch_size=3), docs, weights, dtype)
    reference = ReferenceEngine(model, weights, gpt_type=GptVariant)
    tolerance = 1e-9 if dtype == "float64" else 1e-3
    assert compiled.backward() == pytest.approx(compute_gradients(reference, docs), rel=tolerance)
    if dtype == "float32" and factor > 10:  # float32 rounds such scores, so gradients differ
        assert np.isfinite(compiled._grads.array).all()
        assert compiled._grads.array.any()
    else:
        assert_same_gradients(compiled, reference, model, tolerance)


def test_a_gradient_whose_square_overflows_counts_as_divergence() -> None:
    """Adam's mean of squares would stay infinite, so the weight would never change again."""
    model, rng = ModelConfig(n_embd=8, n_head=2, vocab_size=7), random.Random(3)
    docs, config = random_docs(model, [16, 5], rng), TrainConfig(steps=40, batch_size=2)
    engine = make(model, config, docs, init_weights(model, rng), "float32")
    engine._params.by_name()["lm_head"][:] *= 1e21
    assert math.isnan(engine.run(1)[0])
    assert np.isfinite(engine._grads.array).all()  # only the squares overflow


def test_a_tiny_adam_epsilon_keeps_the_weights_of_unused_tokens_finite() -> None:
    model = ModelConfig(n_embd=8, n_head=2, vocab_size=7)
    weights = init_weights(model, random.Random(3))
    config = TrainConfig(steps=9, adam_eps=1e-46)
    engine = make(model, config, [[0, 1, 2]], weights, "float32")  # tokens 3 to 6 never occur
    assert np.isfinite(run_to(engine, 9)).all()
    assert np.isfinite([engine.backward(), *engine.flat_weights()]).all()


# Without garbage collection, compilation is a tenth faster.
OTHER_PROCESSOR = """
import gc, sys
gc.disable()
from llvmlite import binding
host = binding.get_host_cpu_features()
host["avx512f"] = host["avx512f"] or sys.argv[1] == "AVX-512"
binding.get_host_cpu_features = lambda: host
from microgpt_engine import simd
assert [simd.VECTOR_BYTES, simd.N_REGISTERS] == list(map(int, sys.argv[3:]))
import random
from hypothesis import settings
settings.register_profile("slow", deadline=None, derandomize=True)  # kernels are compiled
settings.load_profile("slow")
import test_trainer
test_trainer.TOLERANCE = {sys.argv[2]: test_trainer.TOLERANCE[sys.argv[2]]}
test_trainer.test_the_loss_and_gradients_agree_with_the_reference_engine()
rng = random.Random(3)
from microgpt import Gpt, ModelConfig, Sampling
from microgpt_engine.compiled_model import CompiledModel
from microgpt.model import init_weights
from microgpt.sampling import DecodeRules, decode
for n_embd, n_head in ((1, 1), (6, 2), (16, 4), (21, 3), (40, 2), (160, 2)):
    model = ModelConfig(n_embd=n_embd, n_head=n_head, block_size=20, vocab_size=33, init_std=0.3)
    weights = init_weights(model, rng)
    rules = DecodeRules((1,), sampling=Sampling(1.0, top_p=0.9))
    found = CompiledModel(model, weights, "float64").decode_many([[0]] * 9, range(9), rules)
    found = list(enumerate(found))
    for seed, one in found[:: 1 if n_embd < 100 else 4]:
        expected = decode(Gpt(model, weights), [0], rules, random.Random(seed))
        assert one == list(expected)
"""


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    ("host", "features", "dtype", "sizes"),
    [  # compiling a case takes 15 s; its vectors have 4, 8 or 2 lanes
        ("AVX-512", "", "float32", ("16", "16")),
        ("this", "", "float32", ("16", "16")),  # reuses the code compiled for the previous case
        ("this", "+avx2,+fma", "float32", ("32", "16")),
        ("this", "+neon", "float64", ("16", "32")),  # on x86, +neon changes only N_REGISTERS
    ],
    ids=["AVX-512 host", "SSE2", "AVX2", "NEON"],
)
def test_code_for_other_processors_agrees_with_the_reference(host, features, dtype, sizes) -> None:
    """The code is compiled for the processor that Numba is configured for, not for the host.

    The first run of the tests stores the code in the user's cache; later runs reuse it.
    """
    tests = Path(__file__).parents[1]
    env = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features}
    env["PYTHONPATH"] = os.pathsep.join([str(tests), str(tests / "engine")])
    command = [sys.executable, "-c", OTHER_PROCESSOR, host, dtype, *sizes]
    ok(run_process(command, env={**os.environ, **env}))
