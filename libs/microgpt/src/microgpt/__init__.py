"""microgpt: a GPT that trains, generates and chats.

    from microgpt import InferenceGpt, load_text, save
    from microgpt.train import train

    result = train(load_text("data/names.txt"))
    print(InferenceGpt(result).generate(num_samples=5))
    save(result, "output")

The names below are loaded when they are first used, so `import microgpt` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from microgpt.config import ModelConfig, Sampling, TrainConfig
    from microgpt.data.bpe import BpeTokenizer
    from microgpt.data.dataset import load_conversations, load_text
    from microgpt.data.tokenizer import CharTokenizer, Message
    from microgpt.errors import MicrogptError
    from microgpt.inference import InferenceGpt
    from microgpt.model import Gpt
    from microgpt.state import TrainEvent, TrainResult
    from microgpt.storage.model_directory import load, save
    from microgpt.value import Value

_MODULE_OF = {
    "BpeTokenizer": "data.bpe",
    "CharTokenizer": "data.tokenizer",
    "Gpt": "model",
    "InferenceGpt": "inference",
    "Message": "data.tokenizer",
    "MicrogptError": "errors",
    "ModelConfig": "config",
    "Sampling": "config",
    "TrainConfig": "config",
    "TrainEvent": "state",
    "TrainResult": "state",
    "Value": "value",
    "load": "storage.model_directory",
    "load_conversations": "data.dataset",
    "load_text": "data.dataset",
    "save": "storage.model_directory",
}

__all__ = [
    "BpeTokenizer",
    "CharTokenizer",
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
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'microgpt' has no attribute {name!r}")
    return getattr(import_module(f"microgpt.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
