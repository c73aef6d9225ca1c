"""How much faster could continuous batching make the service?

Replying: a fifth; 233 µs in batches of one, 181 of 16 (docs/decisions/0018-batches-take-turns.md).

    uv run python bench/study.py serve_batching [--rounds 5]

The demo model replies to 320 conversations of data/chat_heldout.jsonl in batches of 1 to 32, as in
the service. Continuous batching would merge small batches into one. The possible gain is the
difference between the first line of the output and the best line. A few seconds on one core.
"""

import statistics
import time
from argparse import Namespace

from machine import machine
from serve_streams import conversations

from microgpt.batching.batch import Batch
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.inference import InferenceGpt
from microgpt.sampling import Job
from microgpt.storage.model_directory import load

N_REPLIES = 320
OPTIONS = {"rounds": 5}
SIZES = (1, 2, 4, 8, 16, 32)


def measure(options: Namespace) -> None:
    """Print the time per reply, and the setup part of that time, for each batch size."""
    model = InferenceGpt(load(bundled(DEMO_MODEL)))
    jobs = [
        model.reply_job(model.chat_prompt(talk), seed=seed)
        for seed, talk in enumerate(conversations(N_REPLIES))
    ]
    times: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
    for _ in range(options.rounds):
        for size in SIZES:
            times[size].append(measured(model, jobs, size))
    print(machine())
    print(f"{statistics.fmean(len(job.prompts[0]) for job in jobs):.0f} tokens per prompt")
    for size in SIZES:
        whole, begin = (1e6 * statistics.median(each) for each in zip(*times[size], strict=True))
        print(f"batch size {size:2}: {whole:4.0f} us per reply, of which {begin:3.0f} us set-up")


def measured(model: InferenceGpt, jobs: list[Job], size: int) -> tuple[float, float]:
    """Return the seconds per reply, and how many of them are setup."""
    arrays, begin = None, 0.0
    started = time.perf_counter()
    for i in range(0, len(jobs), size):
        begun = time.perf_counter()
        batch = Batch(model.compiled, jobs[i : i + size], arrays)
        begin += time.perf_counter() - begun
        while batch.open:
            batch.run()
        arrays = batch.arrays
    return (time.perf_counter() - started) / len(jobs), begin / len(jobs)
