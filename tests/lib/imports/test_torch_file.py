"""Files of torch.save; skipped where PyTorch is not installed."""

import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from microgpt import CharTokenizer, InferenceGpt, ModelConfig, load, save
from microgpt.errors import CheckpointError
from microgpt.imports.checkpoint import import_model
from microgpt.model import init_weights
from microgpt.storage.saved_model import SavedModel

torch = pytest.importorskip("torch")

NAMES = CharTokenizer("abcdefgh")
SCRIPT = ModelConfig(n_embd=8, n_head=2, n_layer=2, block_size=8, n_ff_exp=3, vocab_size=9)
WEIGHTS = init_weights(SCRIPT, random.Random(1))


def tensors(dtype: str = "float32"):
    return {name: torch.tensor(rows).to(getattr(torch, dtype)) for name, rows in WEIGHTS.items()}


def imported(path: Path) -> SavedModel:
    return import_model(path, n_head=2, tokenizer=NAMES)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda found: found,
        lambda found: {"model": found, "iter_num": 3, "config": {"lr": 0.1}},
        lambda found: {"state_dict": {f"module.{k}.weight": v for k, v in found.items()}},
        lambda found: {f"_orig_mod.{k}": torch.nn.Parameter(v) for k, v in found.items()},
    ],
)
def test_weights_are_read_unchanged_from_a_torch_file(tmp_path, dtype, wrap) -> None:
    found = tensors(dtype)
    torch.save(wrap(found), tmp_path / "model.pt")
    saved = imported(tmp_path / "model.pt")
    assert saved.model == SCRIPT
    assert all((np.array(saved.weights[k]) == v.double().numpy()).all() for k, v in found.items())


def test_the_state_dict_of_the_torch_module_can_be_imported(tmp_path) -> None:
    from microgpt.torch import Gpt

    torch.save(tensors(), tmp_path / "model.pt")
    saved = imported(tmp_path / "model.pt")
    torch.save(Gpt(saved).state_dict(), tmp_path / "again.pt")
    save(imported(tmp_path / "again.pt"), tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.weights == saved.weights
    rows = [[*InferenceGpt(each).log_probability_rows([8, 0, 1])] for each in (saved, again)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"K\x09K\x08\x86", b"J\x00\x00\x00\x40K\x08\x86", "is damaged"),  # a larger shape
        (b"K\x48t", b"J\x00\x00\x00\x40t", "is damaged"),  # more numbers than the file has
    ],
)
def test_a_tensor_shape_that_exceeds_the_file_is_refused(tmp_path, old, new, problem) -> None:
    torch.save({"wte": torch.zeros(9, 8)}, tmp_path / "model.pt")
    content = edited(tmp_path / "model.pt", old, new)
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=problem):
        imported(tmp_path / "model.pt")


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path) -> None:
    found = {**tensors(), "wte": torch.zeros(1, 1).expand(2**28, 2**10)}
    torch.save(found, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="wte has fewer numbers than its shape says"):
        imported(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("thing", "problem"),
    [
        (torch.zeros(2, 2), "has no tensors with names; save a state_dict"),
        ({"lr": 0.1}, "'lr' is not a tensor; save a state_dict"),
        ({"wte": torch.zeros(2)}, "wte is a 1-D array of float32; expected a 2-D"),
        ({"wte": torch.full((2, 2), float("nan"))}, "wte has a value that is not finite"),
        ({"wte": torch.zeros(2, 2, dtype=torch.int64)}, "wte is a 2-D array of int64"),
        (torch.nn.Linear(2, 2), "contains more than weights: it calls .*; save a state_dict"),
    ],
)
def test_a_torch_file_without_a_state_dict_is_refused(tmp_path, thing, problem) -> None:
    torch.save(thing, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=problem):
        imported(tmp_path / "model.pt")


def test_a_damaged_torch_file_gives_a_one_line_error(tmp_path) -> None:
    torch.save(tensors(), tmp_path / "model.pt")
    content, rng = (tmp_path / "model.pt").read_bytes(), random.Random(3)
    for _ in range(100):
        place, n = rng.randrange(len(content)), rng.choice((0, 1, 5))
        changed = content[:place] + rng.randbytes(n) + content[place + n :]
        (tmp_path / "model.pt").write_bytes(changed if rng.random() < 0.7 else content[:place])
        assert problem_of(tmp_path / "model.pt").isprintable()


def test_a_large_pickle_is_refused_before_it_is_read(tmp_path) -> None:
    torch.save({"wte": torch.zeros(4)}, tmp_path / "model.pt")
    many = b"}" * 2**21  # dictionaries, each of 64 bytes in memory
    content = edited(tmp_path / "model.pt", b"\x80\x02", b"\x80\x02" + many)
    (tmp_path / "model.pt").write_bytes(content)
    assert "compressed or too large" in problem_of(tmp_path / "model.pt")


def problem_of(path: Path) -> str:
    try:
        imported(path)
    except CheckpointError as error:
        return str(error)
    return ""


def edited(path: Path, old: bytes, new: bytes) -> bytes:
    """Return the content of a file with a changed pickle."""
    other = path.with_suffix(".zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as archive:
        for entry in source.infolist():
            content = source.read(entry)
            is_pickle = entry.filename.endswith("data.pkl")
            assert not is_pickle or old in content
            archive.writestr(entry.filename, content.replace(old, new) if is_pickle else content)
    return other.read_bytes()
