"""The module of PyTorch, compared with both engines; skipped where PyTorch is not installed."""

import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from exported_models import ARCHITECTURES, drawn_shape, saved_model

from microgpt import InferenceGpt, load, save
from microgpt.config import DType
from microgpt.errors import CheckpointError, ConfigError
from microgpt.model import cross_entropy
from microgpt.model_variants import gpt_type
from microgpt.storage.saved_model import SavedModel
from microgpt.value import Value, total

torch = pytest.importorskip("torch")
from microgpt_exports.torch import Gpt  # noqa: E402

ROOT = Path(__file__).parents[2]
SMALL = {"n_embd": 8, "n_head": 2, "n_layer": 2, "block_size": 12}


def tokens_of(saved: SavedModel, n: int, seed: int = 1) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(saved.model.vocab_size) for _ in range(n)]


def log_probabilities(saved: SavedModel, tokens: list[int]) -> list[list[float]]:
    with torch.no_grad():
        return Gpt(saved)(torch.tensor([tokens]))[0].double().log_softmax(-1).tolist()


def largest_difference(ours: list[list[float]], theirs: list[list[float]]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return max(abs(a - b) for rows in pairs for a, b in zip(*rows, strict=True))


@pytest.mark.parametrize("seed", range(40))
def test_torch_agrees_on_models_of_any_shape(seed) -> None:
    saved = saved_model(seed=seed, **drawn_shape(seed))
    tokens = tokens_of(saved, saved.model.block_size)
    ours = [*InferenceGpt(saved).log_probabilities(tokens)]
    assert largest_difference(ours, log_probabilities(saved, tokens)) < 1e-4


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_torch_generates_the_same_256_greedy_tokens(architecture) -> None:
    saved = saved_model(architecture=architecture)
    gpt, tokens = Gpt(saved), [saved.tokenizer.bos_id]
    with torch.no_grad():
        for _ in range(256):
            tokens.append(int(gpt(torch.tensor([tokens]))[0, -1].argmax()))
    rows = InferenceGpt(saved).log_probabilities(tokens[:-1])
    assert [max(range(len(row)), key=row.__getitem__) for row in rows] == tokens[1:]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_torch_gives_the_gradients_of_the_reference_engine(architecture) -> None:
    saved = saved_model(**SMALL, architecture=architecture, dtype="float64")
    tokens = tokens_of(saved, saved.model.block_size + 1)
    gpt = Gpt(saved)
    logits = gpt(torch.tensor([tokens[:-1]]))
    torch.nn.functional.cross_entropy(logits[0], torch.tensor(tokens[1:])).backward()
    weights = {
        name: [[Value(x) for x in row] for row in rows] for name, rows in saved.weights.items()
    }
    reference = gpt_type(saved.model)(saved.model, weights)
    cache = reference.new_cache()
    losses = [cross_entropy(reference.forward(a, cache), b) for a, b in pairwise(tokens)]
    (total(losses) * (1 / len(losses))).backward()
    for name, theirs in gpt.named_parameters():
        ours = [[x.grad for x in row] for row in weights[name]]
        assert theirs.grad is not None
        assert largest_difference(ours, theirs.grad.tolist()) < 1e-12, name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_trained_in_torch_is_saved_and_loaded(dtype: DType, tmp_path) -> None:
    saved = saved_model(**SMALL, architecture="modern", dtype=dtype)
    gpt, tokens = Gpt(saved), torch.tensor([tokens_of(saved, 13)])
    optimizer = torch.optim.AdamW(gpt.parameters(), lr=0.01)
    losses = []
    for _ in range(10):
        loss = torch.nn.functional.cross_entropy(gpt(tokens[:, :-1])[0], tokens[0, 1:])
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.1
    save(gpt.to_model(), tmp_path / "model")
    found = load(tmp_path / "model")
    assert (found.dtype, found.meta.training["imported_from"]) == (dtype, "PyTorch")
    assert found.trained_on == (None, None)
    tokens = tokens_of(saved, 12)
    with torch.no_grad():
        theirs = gpt(torch.tensor([tokens]))[0].double().log_softmax(-1).tolist()
    assert largest_difference([*InferenceGpt(found).log_probabilities(tokens)], theirs) < 1e-5


def test_a_torch_module_keeps_the_text_kind_and_examples() -> None:
    saved = saved_model("chat", **SMALL)
    training = {"text": "stream"}
    meta = saved.meta.model_copy(update={"training": training, "examples": ("hi",)})
    found = Gpt(replace(saved, meta=meta)).to_model()
    assert (found.text, found.meta.examples) == ("stream", ("hi",))


def test_a_weight_that_is_not_finite_is_not_saved(tmp_path) -> None:
    gpt = Gpt(saved_model(**SMALL))
    with torch.no_grad():
        gpt.wte[0, 0] = float("nan")
    for weights_format in ("json", "safetensors"):
        with pytest.raises(CheckpointError, match=r"finite|too large"):
            save(gpt.to_model(), tmp_path / "model", weights_format=weights_format)
    assert not (tmp_path / "model").exists()


def test_a_text_longer_than_the_context_is_refused() -> None:
    with pytest.raises(ConfigError, match="13 tokens exceed the context of 12"):
        Gpt(saved_model(**SMALL))(torch.zeros((1, 13), dtype=torch.int64))


def test_the_example_in_the_docs_trains_and_saves(tmp_path, monkeypatch) -> None:
    text = (ROOT / "docs/elsewhere.md").read_text()
    (code,) = [each for each in re.findall(r"```py\n(.*?)```", text, re.S) if "import Gpt" in each]
    monkeypatch.chdir(tmp_path)
    save(saved_model(block_size=16), "names")
    Path("data").mkdir()
    Path("data/names.txt").write_text("anna\nemma\n" * 5)
    exec(code, {})
    before, after = load("names"), load("names-torch")
    assert after.model == before.model
    assert after.weights != before.weights
