import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from microgpt.errors import ConfigError
from microgpt_exports.comparison import Comparison
from microgpt_exports.gguf_file import LlamaSession
from microgpt_exports.onnx_file import OnnxSession, read_onnx
from microgpt_exports.transformers_directory import TransformersSession


@pytest.mark.parametrize(
    ("facts", "passes"),
    [
        ({}, True),
        ({"largest": 0.0011}, False),
        ({"largest": float("nan")}, False),
        ({"n_equal": (2, 2)}, False),
    ],
)
def test_an_export_passes_within_each_limit(facts, passes) -> None:
    continuations = [SimpleNamespace(tokens=(1, 2)), SimpleNamespace(tokens=(1, 2, 3))]
    receipt = SimpleNamespace(continuations=continuations)
    same = {"texts": (), "n_equal": (2, 3), "largest": 0.001}
    assert Comparison(**{**same, **facts}).passes(receipt) == passes


@pytest.mark.parametrize(
    ("use", "module", "extra"),
    [(read_onnx, "onnx", "onnx"), (OnnxSession, "onnxruntime", "onnx"),
     (LlamaSession, "llama_cpp", "gguf"), (TransformersSession, "torch", "transformers")],
)  # fmt: skip
def test_an_error_says_which_extra_to_install(use, module, extra, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"run: pip install 'microgpt-exports\[{extra}\]'"):
        use(Path("model"))
