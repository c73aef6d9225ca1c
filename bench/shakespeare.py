"""Losses of the presets for text on Shakespeare, trained on one core.

    uv run python bench/shakespeare.py [--only shakespeare] [--seeds 3] [--core 1]

Trains each preset on the first 90 % of the text, like `microgpt train --preset shakespeare`. The
last tenth is scored once, after the last step, in two ways: in nanoGPT's (random windows of the
context, every token counts, so half of the tokens have less than half a context before them), and
with sliding windows, as in `microgpt eval`. The twelve training runs take about an hour on one core
of an AMD EPYC (Zen 5), most of it for the three ensembles of `text-1000s`.
"""

import random
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from harness import FIRST_SEED, TRAINING, parsed, show_progress, train_missing, trained
from tables import headed, mean_and_sd, runs_of

from microgpt import OnEvent, ReadOptions, count_params, split
from microgpt.data.documents import bundled, load_documents
from microgpt.inference import InferenceGpt
from microgpt.settings import preset_settings
from microgpt.state import TrainEvent
from microgpt.training.engines import prepare_engine
from microgpt.training.planning import plan_training

PRESET_NAMES = ("text-60s", "shakespeare", "text-300s", "text-1000s")
N_WINDOWS = 2400  # nanoGPT evaluates 200 batches of 12 windows


@dataclass
class ShakespeareTraining:
    """Cost and losses of a training run, in nats per character."""

    params: int
    random_windows: float
    sliding_windows: float
    seconds: float

    def __str__(self) -> str:
        return f"random windows {self.random_windows:.4f}, {self.seconds:.1f} s"


def main() -> None:
    """Run the missing training runs and print the table."""
    options = parsed(__doc__, only=PRESET_NAMES, **TRAINING)
    measures = {name: partial(measured, preset=name) for name in PRESET_NAMES}
    print(shakespeare_table(train_missing("shakespeare", measures, options)))


def measured(seed: int, label: str, *, preset: str) -> ShakespeareTraining:
    """Train on the first 90 % without looking at the rest; return the cost and the losses."""
    given = {**preset_settings(preset), "seed": seed, "text": "stream"}
    text = load_documents(bundled("shakespeare.txt"), ReadOptions("stream"))
    cut = len(text) - len(text) // 10
    prepare_engine("compiled", uses=("training", "evaluation", "generation"))

    def on_event(event: TrainEvent) -> None:
        if event.losses and event.step % 100 < len(event.losses):
            show_progress(label, event.step, event.steps, event.losses[-1])

    job = plan_training(split((text[:cut],)), given)
    result = trained(job, [OnEvent(on_event)])
    gpt = InferenceGpt(result)
    return ShakespeareTraining(
        params=count_params(result.model),
        random_windows=random_windows_loss(gpt, text[cut:]),
        sliding_windows=gpt.evaluate([text[cut:]], text="stream").loss,
        seconds=result.state.seconds,
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
    return gpt.engine_model.nll(windows) / (N_WINDOWS * size)


def shakespeare_table(kept: dict) -> str:
    """Return a table of the losses of each preset on the last tenth of Shakespeare."""
    lines = []
    for name in PRESET_NAMES:
        if found := runs_of(kept, name):
            lines.append([
                f"`{name}`",
                f"{found[0]['params']:,}",
                f"**{mean_and_sd([each['random_windows'] for each in found])}**",
                mean_and_sd([each["sliding_windows"] for each in found]),
                str(len(found)),
                f"{fmean(each['seconds'] for each in found):.0f}",
            ])  # fmt: skip
    head = ["", "weights", "random windows", "sliding windows", "seeds", "seconds"]
    return headed(head, lines, kept)


TABLES = {"shakespeare": shakespeare_table}

if __name__ == "__main__":
    main()
