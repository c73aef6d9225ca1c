"""microgpt: a GPT that trains, generates and chats.

    from microgpt import InferenceGpt, load_text, save, train

    result = train(load_text("data/names.txt"))
    print(InferenceGpt(result).generate(num_samples=5))
    save(result, "output")  # reload it with load("output")

`Value` and `Gpt` are the readable scalar implementation.
Public names are imported on first use, so `import microgpt` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from microgpt.config import ModelConfig, Sampling, TrainConfig
    from microgpt.data.bpe import BpeTokenizer
    from microgpt.data.documents import load_conversations, load_text
    from microgpt.data.folding import FoldingTokenizer
    from microgpt.data.tokenizer import CharTokenizer, Message
    from microgpt.errors import MicrogptError
    from microgpt.inference import InferenceGpt
    from microgpt.model import Gpt
    from microgpt.state import TrainEvent, TrainResult
    from microgpt.storage.model_directory import load, save
    from microgpt.training.train import train
    from microgpt.value import Value

__all__ = [
    "BpeTokenizer",
    "CharTokenizer",
    "FoldingTokenizer",
    "Gpt",
    "InferenceGpt",
    "Message",
    "MicrogptError",
    "ModelConfig",
    "Sampling",
    "TrainConfig",
    "TrainEvent",
    "TrainResult",
    "Value",
    "load",
    "load_conversations",
    "load_text",
    "save",
    "train",
]

_NAMES = {  # public names by module
    "config": ("ModelConfig", "Sampling", "TrainConfig"),
    "data.bpe": ("BpeTokenizer",),
    "data.documents": ("load_conversations", "load_text"),
    "data.folding": ("FoldingTokenizer",),
    "data.tokenizer": ("CharTokenizer", "Message"),
    "errors": ("MicrogptError",),
    "inference": ("InferenceGpt",),
    "model": ("Gpt",),
    "state": ("TrainEvent", "TrainResult"),
    "storage.model_directory": ("load", "save"),
    "training.train": ("train",),
    "value": ("Value",),
}


def __getattr__(name: str) -> object:
    for module, names in _NAMES.items():
        if name in names:
            return getattr(import_module(f"microgpt.{module}"), name)
    if name == "__version__":
        return import_module("importlib.metadata").version("microgpt-lib")
    raise AttributeError(f"module 'microgpt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
