"""Run a GGUF file with llama.cpp, and a directory with transformers."""

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import check_extra
from microgpt_exports.comparison import PIECE, running
from microgpt_exports.receipt import MAX_TOKENS

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LlamaSession:
    """A model that llama.cpp runs on one core, with a float32 cache.

    Only one sequence can be read at a time, because llama.cpp keeps the cache.

    Raises:
        ConfigError: the extra gguf is missing.
        CheckpointError: llama.cpp cannot run the model.
    """

    def __init__(self, file: Path, n_tokens: int = MAX_TOKENS) -> None:
        check_extra("microgpt-exports[gguf]", "GGUF files in llama.cpp", "llama_cpp")
        import llama_cpp
        from llama_cpp import _logger

        floats = llama_cpp.GGML_TYPE_F32
        # llama.cpp warns that its smallest context is larger than that of a small model.
        silent = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(silent, None)
        try:
            with running(f"llama.cpp (llama-cpp-python {llama_cpp.__version__})"):
                self._llama = llama_cpp.Llama(
                    str(file), n_ctx=n_tokens, n_batch=PIECE, n_ubatch=PIECE, n_threads=1,
                    n_threads_batch=1, logits_all=True, type_k=floats, type_v=floats, verbose=False,
                )  # fmt: skip
        finally:
            llama_cpp.llama_log_set(_logger.llama_log_callback, None)

    def read(self, tokens: Sequence[int], cache: Any) -> "tuple[NDArray[Any], Any]":
        """Return the logits after each token (T, V); the cache is None for a new sequence."""
        if cache is None:
            self._llama.reset()
        self._llama.eval(tokens)
        start = self._llama.n_tokens - len(tokens)
        return self._llama.scores[start : self._llama.n_tokens].copy(), self


class TransformersSession:
    """A model that transformers runs on the CPU; it loads no code from the directory.

    Raises:
        ConfigError: the extra transformers is missing.
        CheckpointError: transformers cannot run the model.
    """

    def __init__(self, directory: Path) -> None:
        check_extra(
            "microgpt-exports[transformers]", "Directories of transformers", "torch", "transformers"
        )
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        with running(f"transformers {transformers.__version__}"):
            model = transformers.AutoModelForCausalLM.from_pretrained(
                str(directory), local_files_only=True, trust_remote_code=False, use_safetensors=True
            )
        self._model = model.eval()
        parameters = signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"

    def read(self, tokens: Sequence[int], cache: Any) -> "tuple[NDArray[Any], Any]":
        """Return the logits after each token (T, V), and the new cache; None is an empty cache."""
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self._model.config) if cache is None else cache
        with torch.inference_mode():
            found = self._model(torch.tensor([tokens]), use_cache=True, **{self._cache_name: cache})
        return found.logits[0].numpy(), cache
