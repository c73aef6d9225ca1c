"""microgpt: a GPT that trains, generates and chats.

    from microgpt import InferenceGpt, load_text, save, train

    result = train(load_text("data/names.txt"))
    print(InferenceGpt(result).generate(num_samples=5))
    save(result, "output")  # reload it with load("output")

`Value` and `Gpt` are the readable scalar implementation.
`__init__.pyi` lists all public names. They are imported on first use, so `import microgpt` is fast.
"""

import lazy_loader

_attribute, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)

__all__ = [  # the names that most programs need; docs/reference/python.md documents them
    "BpeTokenizer", "CharTokenizer", "Checkpoints", "FoldingTokenizer", "Gpt", "Hook",
    "InferenceGpt", "Message", "MicrogptError", "ModelConfig", "OnEvent", "Sampling", "StopWhen",
    "TrainConfig", "TrainEvent", "TrainResult", "Value", "load", "load_conversations", "load_text",
    "save", "train",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("microgpt-lib")
    found: object = _attribute(name)
    return found
