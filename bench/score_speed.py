"""Measure the speed of scoring and explaining.

Scores identifiers of 20 characters with a model of about 30,000 weights, in the library and with
`microgpt score` from a file (without the start-up), compared with `InferenceGpt.evaluate`.
Explains 256 tokens with the bundled chat model.

    uv run python bench/score_speed.py [--rounds 5]
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

from harness import in_turns, parsed
from machine import machine

from microgpt import InferenceGpt, ModelConfig, TrainConfig, load, save
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.evaluation.explanation import explain
from microgpt.evaluation.scoring import Scorer
from microgpt.training.engines import prepare_engine
from microgpt.training.train import train

N, LENGTH = 50_000, 20
SHAPE = ModelConfig(n_embd=40, n_layer=1, n_head=4, block_size=32)


def main() -> None:
    """Measure and print the speeds."""
    rounds = parsed(__doc__, rounds=5).rounds
    prepare_engine("compiled", uses=("training", "evaluation"))
    rng = Random(1)
    texts = [
        "".join(rng.choices("abcdefghijklmnopqrstuvwxyz_0123456789", k=LENGTH)) for _ in range(N)
    ]
    model = train(texts, model=SHAPE, config=TrainConfig(steps=1))
    gpt, scorer = InferenceGpt(model), Scorer(InferenceGpt(model))
    print(f"{machine()}: {gpt.num_params:,} weights, {N:,} texts of {LENGTH} characters")
    calls = {"evaluate": lambda: gpt.evaluate(texts), "score": lambda: scorer.score(texts)}
    times = in_turns(calls, rounds)
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder, "model"))
        Path(folder, "texts.txt").write_text("\n".join(texts))
        Path(folder, "empty.txt").touch()

        def command(file: str) -> None:
            program = [sys.executable, "-m", "microgpt_cli", "score", "model", "--data", file]
            subprocess.run([*program, "--above", "99"], cwd=folder, check=True)

        found = in_turns(
            {"all": lambda: command("texts.txt"), "start-up": lambda: command("empty.txt")}, rounds
        )
    times["microgpt score"] = found["all"] - found["start-up"]
    for name, seconds in times.items():
        ratio = times["evaluate"] / seconds
        print(f"{name}: {N / seconds:,.0f} texts/s, {ratio:.2f} × as fast as evaluate")
    chat = InferenceGpt(load(bundled(DEMO_MODEL)))
    known = [*filter(str.isalpha, map(str, chat.tokenizer.piece_names))]
    text = "".join(rng.choices(known, k=chat.config.block_size - 4))
    heads = [(0, 0)]
    seconds = in_turns(
        {
            "explain": lambda: explain(chat, text),
            "with attention and activations": lambda: explain(
                chat, text, attention=heads, position=-1
            ),
        },
        10 * rounds,
    )
    for name, each in seconds.items():
        print(f"{name}: {1000 * each:.1f} ms for {len(text) + 3} tokens")


if __name__ == "__main__":
    main()
