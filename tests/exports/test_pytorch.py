"""Compare the PyTorch module with both engines; skip the tests if PyTorch is not installed."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from exported_models import ARCHITECTURES, drawn_shape, drawn_tokens, log_probabilities, saved_model

from microgpt import load, save
from microgpt.config import DType
from microgpt.model import cross_entropy
from microgpt.model_variants import gpt_type
from microgpt.value import Value, total

torch = pytest.importorskip("torch")
from microgpt_exports.pytorch import Gpt  # noqa: E402

ROOT = Path(__file__).parents[2]
SMALL = {"n_embd": 8, "n_head": 2, "n_layer": 2, "block_size": 12}


def computed(gpt: Gpt, tokens: list[int]) -> np.ndarray:
    """Return the log-probabilities that a PyTorch module predicts after each token: (T, V)."""
    with torch.no_grad():
        return gpt(torch.tensor([tokens]))[0].double().log_softmax(-1).numpy()


@pytest.mark.parametrize("seed", range(40))
def test_the_torch_module_gives_the_log_probabilities_of_microgpt(seed) -> None:
    saved = saved_model(seed=seed, **drawn_shape(seed))
    tokens = drawn_tokens(saved, saved.model.block_size)
    assert np.abs(log_probabilities(saved, tokens) - computed(Gpt(saved), tokens)).max() < 1e-4


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_torch_module_gives_the_gradients_of_the_reference_engine(architecture) -> None:
    saved = saved_model(**SMALL, architecture=architecture, dtype="float64")
    tokens = drawn_tokens(saved, saved.model.block_size + 1)
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
        assert np.abs(ours - theirs.grad.numpy()).max() < 1e-12, name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_trained_in_torch_is_saved_and_loaded(dtype: DType, tmp_path) -> None:
    saved = saved_model(**SMALL, architecture="modern", dtype=dtype)
    gpt, tokens = Gpt(saved), torch.tensor([drawn_tokens(saved, 13)])
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
    tokens = drawn_tokens(saved, 12)
    assert np.abs(log_probabilities(found, tokens) - computed(gpt, tokens)).max() < 1e-5


def test_the_torch_example_in_the_docs_trains_and_saves_a_model(tmp_path, monkeypatch) -> None:
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
