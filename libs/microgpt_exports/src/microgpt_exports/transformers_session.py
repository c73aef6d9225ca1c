"""Run a model with transformers."""

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import check_extra
from microgpt_exports.comparison import running

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
