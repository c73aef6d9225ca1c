"""Compare models exported as C with the engine: tokens per second, and held-out loss with int8.

    uv run python bench/c_file.py [--rounds 5]

The models are Karpathy's (trained without the held-out names) and the demo chat model. They decode
greedily, one sequence at a time. The speed is in tokens per second of processor time; its ratio is
to that of microgpt's engine, which takes turns with the C programs (`cc -O3 -march=native`). The
loss is the mean over 500 held-out names or replies, in nats per token.
"""

import random
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from elsewhere import trained
from harness import headed, in_turns, parsed, store

import microgpt
from microgpt import Document, InferenceGpt, ModelConfig, SavedModel, TrainConfig, bundled
from microgpt_exports.c_file import C_FORMAT, INT8_FORMAT, rounded

N_HELD_OUT = 500  # number of held-out documents
STEPS = 10_000  # number of steps to train the model of names
N_TOKENS = 20_000  # number of tokens generated per measurement
PROGRAM = """\
#define MICROGPT_NO_MAIN
#include "model.c"
#include <time.h>

int main(void) {
    static microgpt_state state;
    clock_t start = clock();
    for (int i = 0; i < %d; i++) {
        memset(&state, 0, sizeof state);
        int token = MICROGPT_BOS;
        while (state.n_read < MICROGPT_CONTEXT) {
            microgpt_next(&state, token);
            token = microgpt_sample(&state, NULL, 0);
        }
    }
    printf("%%f", (double)(clock() - start) / CLOCKS_PER_SEC);
    return 0;
}
"""


def main() -> None:
    options = parsed(__doc__, rounds=5)
    names = microgpt.load_text(bundled("names.txt"))
    chats = microgpt.load_conversations(bundled("chat_heldout.jsonl"))[:N_HELD_OUT]
    demo = microgpt.load(bundled(microgpt.DEMO_MODEL))
    karpathys = trained(names[:-N_HELD_OUT], ModelConfig(), TrainConfig(steps=STEPS))
    found = {
        "Karpathy's names": measured(karpathys, names[-N_HELD_OUT:], options.rounds),
        "demo chat model": measured(demo, chats, options.rounds),
    }
    print(c_table(store("c_file", {"models": found}, options)))


def measured(saved: SavedModel, docs: list[Document], rounds: int) -> dict[str, Any]:
    """Return the speeds of the engine and of float32 and int8 C files, and the files' losses."""
    gpt, n_tokens = InferenceGpt(saved), saved.model.block_size
    repeats = N_TOKENS // n_tokens
    rules = microgpt.DecodeRules(max_tokens=n_tokens, sampling=microgpt.Sampling(0))

    def decode() -> float:
        started = process_time()
        for _ in range(repeats):
            list(gpt.engine_model.decode([gpt.tokenizer.bos_id], rules, random.Random()))
        return process_time() - started

    calls = {"microgpt": decode}
    with tempfile.TemporaryDirectory() as folder:
        for format in (C_FORMAT, INT8_FORMAT):
            path = Path(folder, format.name, "model.c")
            path.parent.mkdir()
            request = microgpt.ExportRequest(path, "model", lambda _: None)
            path.write_bytes(format.write(saved, request)[path])
            path.with_name("main.c").write_text(PROGRAM % repeats)
            command = ["cc", "-O3", "-march=native", "main.c", "-o", "main", "-lm"]
            subprocess.run(command, cwd=path.parent, check=True)
            program = path.with_name("main")
            calls[format.name] = lambda program=program: float(subprocess.check_output([program]))
        times = in_turns(calls, rounds)
    speeds = {kind: repeats * n_tokens / median(seconds) for kind, seconds in times.items()}
    losses = [InferenceGpt(each).evaluate(docs).loss for each in (saved, rounded(saved))]
    return {"tokens_per_s": speeds, "losses": losses}


def c_table(kept: dict[str, Any]) -> str:
    """Return a table of the speeds and losses, with a row per model."""
    lines = []
    for name, found in kept["models"].items():
        ours, *others = found["tokens_per_s"].values()
        speeds = [f"{speed:,.0f} ({speed / ours:.2g})" for speed in others]
        loss, rounded_loss = found["losses"]
        lines.append([name, *speeds, f"{loss:.4f} nats", f"{rounded_loss - loss:+z.4f}"])
    return headed(["model", "float32", "int8", "loss in float32", "in int8"], lines, kept)


TABLES = {"c_file": c_table}

if __name__ == "__main__":
    main()
