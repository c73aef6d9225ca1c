"""Measure losses and training times of the presets, on one core, with the `microgpt` command.

    uv run python bench/quality.py [--only names-60s] [--seeds 3]

A tenth of the names is held out for validation (A), and a tenth for the test (B). The presets for
text train on the first 90 % of Shakespeare. The last tenth is scored once, after the last step, in
two ways: with nanoGPT's random windows, in which half of the predictions can use less than half of
the context; and with sliding windows, as in `microgpt eval`.

Existing results are reused unless --again is given, so an interrupted run can be continued. Takes
50 minutes on one core of an AMD EPYC (Zen 5); --only text-1000s takes 35 minutes per seed.
"""

import random
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from harness import TRAINING, command, headed, mean_and_sd, parsed, runs_of, train_missing

from microgpt import InferenceGpt, bundled, load

NAMES = ("names-10s", "names-60s", "names-600s")
TEXTS = ("text-60s", "shakespeare", "text-300s")
LONG = ("text-1000s",)  # presets that run only if --only names them
N_WINDOWS = 2400  # number of random windows, as in nanoGPT's 200 batches of 12


def main() -> None:
    options = parsed(__doc__, only=(*NAMES, *TEXTS, *LONG), **TRAINING)
    texts = (*TEXTS, *LONG) if options.only in LONG else TEXTS
    names = {name: partial(of_names, name) for name in NAMES}
    print(TABLES["quality_presets"](train_missing("quality", names, options)))
    shakespeare = {name: partial(of_shakespeare, name) for name in texts}
    print(TABLES["shakespeare"](train_missing("shakespeare", shakespeare, options)))


def of_names(preset: str, seed: int) -> dict[str, Any]:
    """Train with a preset for names; return the training cost, and losses in nats per token."""
    with tempfile.TemporaryDirectory() as folder:
        found = train(preset, seed, f"{folder}/model")
    losses = {name: found[name] for name in ("val_loss", "test_loss")}
    return {"params": found["num_params"], **losses, "seconds": found["seconds"]}


def of_shakespeare(preset: str, seed: int) -> dict[str, Any]:
    """Train with a preset on Shakespeare; return the cost, and losses in nats per character."""
    text = bundled("shakespeare.txt").read_text("utf-8")
    cut = len(text) - len(text) // 10
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "text.txt")
        file.write_text(text[:cut], "utf-8")
        split = ("--text", "stream", "--val-fraction", 0, "--test-fraction", 0)
        found = train(preset, seed, f"{folder}/model", "--data", file, *split)
        gpt = InferenceGpt(load(f"{folder}/model"))
    return {
        "params": found["num_params"],
        "random_windows": random_windows_loss(gpt, text[cut:]),
        "sliding_windows": gpt.evaluate([text[cut:]], text="stream").loss,
        "seconds": found["seconds"],
    }


def train(preset: str, seed: int, model: str, *words: object) -> dict[str, Any]:
    return command("train", "--preset", preset, "--seed", seed, "--model", model, *words)


def random_windows_loss(gpt: InferenceGpt, text: str) -> float:
    """Return the mean loss over random windows as long as the context, as nanoGPT measures it.

    The first token of a window is replaced by the start token, as in training. The model therefore
    reads one character less before each prediction than nanoGPT's model.
    """
    size, rng = gpt.config.block_size, random.Random(42)
    tokens, first = gpt.tokenizer.encode(text), gpt.tokenizer.bos_id
    starts = [rng.randrange(len(tokens) - size) for _ in range(N_WINDOWS)]
    windows = [[first, *tokens[start + 1 : start + size + 1]] for start in starts]
    return gpt.engine_model.nll(windows) / (N_WINDOWS * size)


def losses_table(kept: dict[str, Any], names: Sequence[str], losses: dict[str, str]) -> str:
    """Return a table of the named runs; `losses` maps the key of each loss to its column title."""
    lines = []
    for name in names:
        if found := runs_of(kept, name):
            means = [mean_and_sd(each[loss] for each in found) for loss in losses]
            seconds = fmean(each["seconds"] for each in found)
            cost = [str(len(found)), f"{seconds:.0f}"]
            lines.append([f"`{name}`", f"{found[0]['params']:,}", *means, *cost])
    return headed(["", "weights", *losses.values(), "seeds", "seconds"], lines, kept)


OF_NAMES = {"val_loss": "A", "test_loss": "B"}
OF_TEXTS = {"random_windows": "random windows", "sliding_windows": "sliding windows"}
TABLES = {
    "quality_presets": partial(losses_table, names=NAMES, losses=OF_NAMES),
    "shakespeare": partial(losses_table, names=(*TEXTS, *LONG), losses=OF_TEXTS),
}

if __name__ == "__main__":
    main()
