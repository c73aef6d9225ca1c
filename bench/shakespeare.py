"""Loss on the last tenth of tiny Shakespeare after 1, 3 and 5 minutes on one core.

Trains each preset for text with several seeds on the first 90 % of the text, like
`microgpt train --preset shakespeare`. The last tenth is scored once, after the last step, in two
ways: in nanoGPT's way (random windows of the context, every token counts, so half of the tokens
have less than half a context before them), and with sliding windows, as in `microgpt eval`. Prints
the losses in nats per character and writes them to bench/results.

    uv run python bench/shakespeare.py [--only shakespeare] [--seeds 3] [--core 1]

Existing results are reused unless their settings have changed or --again is given, so an
interrupted run can be continued. Takes half an hour in total.
"""

import argparse
import random
from dataclasses import dataclass, replace

from shakespeare_tables import PRESET_NAMES, shakespeare_table
from trainings import FIRST_SEED, Results, parsed, show_progress

from microgpt.config import ModelConfig, TrainConfig
from microgpt.data.documents import bundled, load_stream
from microgpt.data.split import split_stream
from microgpt.inference import InferenceGpt
from microgpt.model import count_params
from microgpt.state import TrainEvent
from microgpt.training.engines import prepare_engine
from microgpt.training.presets import PRESETS
from microgpt.training.train import train

SEEDS = 3
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


def main() -> None:
    """Run the missing training runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PRESET_NAMES)
    options = parsed(parser)
    results = Results("shakespeare", again=options.again)
    for name in PRESET_NAMES:
        if options.only in (None, name):
            preset = PRESETS[name]
            for seed in range(FIRST_SEED, FIRST_SEED + (options.seeds or SEEDS)):
                results.add(
                    name, preset.model, replace(preset.config, seed=seed, text="stream"), measured
                )
    print(shakespeare_table(results.kept))


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

    The first token of a window is replaced by the start token, as in training. So the model has one
    character less before each prediction than nanoGPT's.
    """
    size, rng = gpt.config.block_size, random.Random(FIRST_SEED)
    tokens, first = gpt.tokenizer.encode(text), gpt.tokenizer.bos_id
    starts = [rng.randrange(len(tokens) - size) for _ in range(N_WINDOWS)]
    windows = [[first, *tokens[start + 1 : start + size + 1]] for start in starts]
    return gpt.compiled.nll(windows) / (N_WINDOWS * size)


if __name__ == "__main__":
    main()
