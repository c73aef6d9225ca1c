"""What several of these tests talk to."""

from dataclasses import replace
from pathlib import Path

import pytest

from microgpt import save
from microgpt.model import weight_shapes


@pytest.fixture(scope="session")
def endless_model(chat_result, tmp_path_factory) -> Path:
    """The directory of a chat model whose replies go on for many seconds."""
    model = replace(chat_result.model, n_embd=8, n_head=1, n_layer=16, block_size=50_000)
    weights = {
        name: [[0.0] * columns for _ in range(rows)]
        for name, (rows, columns) in weight_shapes(model).items()
    }
    weights["wte"] = [[1.0] * 8 for _ in weights["wte"]]
    weights["lm_head"][chat_result.tokenizer.end_turn_id] = [-1000.0] * 8
    path = tmp_path_factory.mktemp("models") / "endless"
    result = replace(chat_result, model=model, weights=weights)
    save(result, path, weights_format="safetensors")
    return path
