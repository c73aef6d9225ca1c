"""Measure C files: tokens per second beside the engine's, and what int8 costs on held-out texts.

    uv run python bench/c_file.py [--rounds 5]

Names of Karpathy's model, trained without the last names, and the demo chat model. Speed: greedy
tokens of one sequence per second of processor time, with `cc -O3 -march=native`; the ratio is
relative to microgpt's engine, which is measured in turns. Loss: nats per token of 500 held-out
names, or of the replies in 500 held-out conversations, with float32 and int8 weights.
"""

import random
import subprocess
import tempfile
from math import log
from pathlib import Path
from statistics import median
from time import process_time

from elsewhere import bits
from harness import parsed
from machine import machine

from microgpt import ExportRequest, InferenceGpt, ModelConfig, TrainConfig, load, save, train
from microgpt.config import Sampling
from microgpt.data.documents import DEMO_MODEL, bundled, load_conversations, load_text
from microgpt.data.tokenizer import Document
from microgpt.sampling import DecodeRules
from microgpt_exports.c_file import C_FORMAT, INT8_FORMAT, rounded

N_HELD_OUT = 500  # documents
STEPS = 10_000  # of the names
N_TOKENS = 20_000  # of a call
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
    """Measure both models, and print the results."""
    rounds = parsed(__doc__, rounds=5).rounds
    print(f"{machine()}; median of {rounds}")
    names = load_text(bundled("names.txt"))
    with tempfile.TemporaryDirectory() as folder:
        model = train(names[:-N_HELD_OUT], model=ModelConfig(), config=TrainConfig(steps=STEPS))
        save(model, folder)
        measure("names", Path(folder), names[-N_HELD_OUT:], rounds)
    chats = load_conversations(bundled("chat_heldout.jsonl"))[:N_HELD_OUT]
    measure("demo chat model", bundled(DEMO_MODEL), chats, rounds)


def measure(name: str, directory: Path, docs: list[Document], rounds: int) -> None:
    """Print the speed of the engine and of both C files, and the loss of both kinds of weights."""
    saved = load(directory)
    gpt, n_tokens = InferenceGpt(saved), saved.model.block_size
    repeats = N_TOKENS // n_tokens
    rules = DecodeRules(max_tokens=n_tokens, sampling=Sampling(0))

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
            request = ExportRequest(path, "model", lambda _: None)
            path.write_bytes(format.write(saved, request)[path])
            path.with_name("main.c").write_text(PROGRAM % repeats)
            command = ["cc", "-O3", "-march=native", "main.c", "-o", "main", "-lm"]
            subprocess.run(command, cwd=path.parent, check=True)
            program = path.with_name("main")
            calls[format.name] = lambda program=program: float(subprocess.check_output([program]))
        found = [{kind: call() for kind, call in calls.items()} for _ in range(rounds + 1)][1:]
        times = {kind: median(each[kind] for each in found) for kind in calls}
    for kind, seconds in times.items():
        speed, ratio = repeats * n_tokens / seconds, times["microgpt"] / seconds
        print(f"{name}, {kind}: {speed:,.0f} tokens/s ({ratio:.2f})")
    tokens = [gpt.tokenizer.encode_document(doc)[: n_tokens + 1] for doc in docs]
    masks = [gpt.tokenizer.mask(doc) or b"\1" * (n_tokens + 1) for doc in docs]
    losses = []
    for each in (saved, rounded(saved)):
        rows = [[*InferenceGpt(each).log_probabilities(read[:-1])] for read in tokens]
        losses.append(bits(rows, tokens, masks) * log(2))
    print(f"{name}: {losses[0]:.4f} nats in float32, {losses[1] - losses[0]:+.4f} in int8")


if __name__ == "__main__":
    main()
