"""How well do the presets for text predict Shakespeare after 1, 3 and 5 minutes on one core?

1.540, 1.504 and 1.452 nats per character in nanoGPT's way of scoring
(docs/measurements/quality.md).

    uv run python bench/study.py shakespeare [--only shakespeare] [--seeds 3] [--core 1]

Trains each preset on the first 90 % of the text, like `microgpt train --preset shakespeare`. The
last tenth is scored once, after the last step, in two ways: in nanoGPT's (random windows of the
context, every token counts, so half of the tokens have less than half a context before them), and
with sliding windows, as in `microgpt eval`. The nine training runs take 14 minutes on one core of
an AMD EPYC (Zen 5).
"""

import random
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import fmean

from harness import FIRST_SEED, Run, seeds, show_progress
from tables import headed, mean_and_sd, runs_of

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.documents import bundled, load_stream
from microgpt.data.split import split_stream
from microgpt.inference import InferenceGpt
from microgpt.model_config import count_params
from microgpt.state import TrainEvent
from microgpt.training.engines import prepare_engine
from microgpt.training.presets import PRESETS
from microgpt.training.train import train

PRESET_NAMES = ("text-60s", "shakespeare", "text-300s")
OPTIONS = {"only": PRESET_NAMES}
N_WINDOWS = 2400  # nanoGPT evaluates 200 batches of 12 windows


@dataclass
class ShakespeareTraining:
    """Cost and losses of a training run, in nats per character."""

    params: int
    n_tokens: int  # number of predicted training tokens, with repetitions
    train_loss: float  # mean of the last 100 steps
    random_windows: float
    sliding_windows: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"random windows {self.random_windows:.4f}, sliding windows "
            f"{self.sliding_windows:.4f}, {self.seconds:.1f} s"
        )


def runs(options: Namespace) -> Iterator[Run]:
    """Yield each preset with each seed."""
    for name in PRESET_NAMES:
        preset = PRESETS[name]
        for seed in seeds(options):
            config = replace(preset.config, seed=seed, text="stream")
            yield Run(name, preset.model, config, measured)


def measured(model: ModelConfig, config: TrainConfig, label: str) -> ShakespeareTraining:
    """Train on the first 90 % without looking at the rest; return the cost and the losses."""
    text = load_stream(bundled("shakespeare.txt"))
    parts = split_stream(text, test=0.1, holdout="tail")
    (rest,) = parts.test
    prepare_engine("compiled", uses=("training", "evaluation"))
    n_tokens = 0

    def on_event(event: TrainEvent) -> None:
        nonlocal n_tokens
        n_tokens += event.n_tokens
        if event.losses and event.step % 100 < len(event.losses):
            show_progress(label, event.step, event.steps, event.losses[-1])

    result = train(parts.train, model=model, config=config, on_event=on_event)
    gpt = InferenceGpt(result)
    assert isinstance(rest, str)
    losses = result.state.recent_losses
    return ShakespeareTraining(
        params=count_params(result.model),
        n_tokens=n_tokens,
        train_loss=sum(losses) / len(losses),
        random_windows=random_windows_loss(gpt, rest),
        sliding_windows=gpt.evaluate([rest], text="stream").loss,
        seconds=result.seconds,
    )


def random_windows_loss(gpt: InferenceGpt, text: str) -> float:
    """Return the mean loss over random windows of the context, as nanoGPT measures it.

    The first token of a window is replaced by the start token, as in training. The model therefore
    reads one character less before each prediction than nanoGPT's model.
    """
    size, rng = gpt.config.block_size, random.Random(FIRST_SEED)
    tokens, first = gpt.tokenizer.encode(text), gpt.tokenizer.bos_id
    starts = [rng.randrange(len(tokens) - size) for _ in range(N_WINDOWS)]
    windows = [[first, *tokens[start + 1 : start + size + 1]] for start in starts]
    return gpt.compiled.nll(windows) / (N_WINDOWS * size)


def shakespeare_table(kept: dict, *_: dict) -> str:
    """Return a table of the losses of each preset on the last tenth of Shakespeare."""
    lines = []
    for name in PRESET_NAMES:
        if found := runs_of(kept, name):
            lines.append([
                f"`{name}`",
                f"{found[0]['params']:,}",
                f"{found[0]['n_tokens'] / 1e6:.1f} M",
                mean_and_sd([each["train_loss"] for each in found]),
                f"**{mean_and_sd([each['random_windows'] for each in found])}**",
                mean_and_sd([each["sliding_windows"] for each in found]),
                str(len(found)),
                f"{fmean(each['seconds'] for each in found):.0f}",
            ])  # fmt: skip
    head = ["", "weights", "characters read", "training", "random windows", "sliding windows",
            "seeds", "seconds"]  # fmt: skip
    return headed(head, lines, kept)


TABLES = {"shakespeare": shakespeare_table}
