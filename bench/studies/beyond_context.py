"""How should generation continue when the context is full?

With the start token and the last half of the context: twice the trained length, which rotary
positions allow, has a higher loss (docs/decisions/0031-variants-beside-karpathys-model.md).

    uv run python bench/study.py beyond_context

Compares both methods with the last half alone. All methods predict the same characters: the first
ones beyond a full context, in stretches of the last tenth of Shakespeare. The model is that of
`text-60s`.
"""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace

from microgpt import InferenceGpt, train
from microgpt.data.documents import bundled, load_stream
from microgpt.data.split import split_stream
from microgpt.data.token_dataset import TokenDataset
from microgpt.engine.compiled_model import CompiledModel
from microgpt.training.presets import PRESETS


def measure(options: Namespace) -> None:
    """Train the model, score it in each way and print the losses."""
    preset = PRESETS["text-60s"]
    parts = split_stream(load_stream(bundled("shakespeare.txt")), test=0.1, holdout="tail")
    config = replace(preset.config, text="stream")
    trained = train(parts.train, model=preset.model, config=config)
    T, half = trained.model.block_size, trained.model.block_size // 2
    gpt = InferenceGpt(trained)
    (rest,) = parts.test
    assert isinstance(rest, str)
    tokens, bos = gpt.tokenizer.encode(rest), gpt.tokenizer.bos_id
    # Each stretch is a full context and the half context that follows it, which is predicted.
    stretches = [tokens[i : i + T + half] for i in range(0, len(tokens) - T - half, T + half)]
    twice = CompiledModel(replace(trained.model, block_size=2 * T), trained.weights, trained.dtype)
    ways = {
        "start token and last half": (
            [[bos, *each[T - half :]] for each in stretches],
            gpt.compiled,
        ),
        "last half": ([each[T - half :] for each in stretches], gpt.compiled),
        "twice the context": ([[bos, *each] for each in stretches], twice),
    }
    for name, (windows, model) in ways.items():
        print(f"{name:28} {loss(model, windows, half):.4f} nats per character")


def loss(model: CompiledModel, windows: Sequence[Sequence[int]], n: int) -> float:
    """Return the mean loss of the last n tokens of each window."""
    dataset = TokenDataset()
    for window in windows:
        dataset.append(window, bytes(len(window) - n) + b"\1" * n)
    return model.nll(dataset) / (n * len(windows))
