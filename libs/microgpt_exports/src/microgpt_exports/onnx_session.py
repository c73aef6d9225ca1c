"""Run an ONNX file with onnxruntime."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import check_extra
from microgpt_exports.comparison import running

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Cache = dict[str, NDArray[Any]]

SILENT = 4  # onnxruntime logs only what ends the process


class OnnxSession:
    """A model that onnxruntime runs, on one core.

    Args:
        model: the content of a file, or its path, which needs less memory.

    Raises:
        ConfigError: the extra onnx is missing.
        CheckpointError: onnxruntime cannot run the model.
    """

    def __init__(self, model: bytes | Path) -> None:
        check_extra("microgpt-exports[onnx]", "ONNX files", "onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = SILENT
        self._program = f"onnxruntime {onnxruntime.__version__}"
        with running(self._program):
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        self._cache_inputs = self._session.get_inputs()[1:]

    def read(
        self, tokens: "Sequence[int] | NDArray[Any]", cache: "Cache | None"
    ) -> "tuple[NDArray[Any], Cache]":
        """Return the logits after each token (T, V), and the new cache; None is an empty cache.

        For a batch, tokens are (B, T) and logits (B, T, V).
        """
        import numpy as np

        ids = np.atleast_2d(np.asarray(tokens, "int64"))
        cache = self._empty_cache(len(ids)) if cache is None else cache
        with running(self._program):
            logits, *present = self._session.run(None, {"input_ids": ids, **cache})
        names = (each.name for each in self._cache_inputs)
        found = logits if np.ndim(tokens) == 2 else logits[0]
        return found, dict(zip(names, present, strict=True))

    def _empty_cache(self, n_sequences: int) -> "Cache":
        import numpy as np

        sizes = {"batch": n_sequences, "past": 0}
        return {
            each.name: np.zeros([sizes.get(size, size) for size in each.shape], "float32")
            for each in self._cache_inputs
        }
