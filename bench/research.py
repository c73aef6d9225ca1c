"""Whether a research keeps changes that cannot matter, and improvements of known sizes.

    uv run python bench/research.py [--only nulls|changes] [--nulls 200] [--minutes 0]

Null changes are tried one after the other in one research: 160 alter the random stream (another
order of the vocabulary, whose initial rows are equal in distribution; unused draws), and the others
nothing (names, comments). Improvements of Karpathy's settings, most of them in the direction of the
presets, are tried against these; their sizes are measured with 12 other seeds, and the power
follows from them by simulation. `--minutes 40` lets the built-in proposer run for so long, and
compares the champion with the first program on the test part. An hour.
"""

import json
import random
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import fmean, median, stdev
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from harness import ROOT, parsed, results_file, store
from tables import headed

from microgpt import bundled, load_text, publish, split
from microgpt_evolution.research.judge import Judge
from microgpt_evolution.research.research import Research, Try
from microgpt_evolution.research.sequential_test import CONFIRM, KEPT, SEARCH, decide
from microgpt_evolution.study_settings import ResearchSettings, facts_of

CODE = (ROOT / "examples" / "research" / "experiment.py").read_text()
OPERATIONS = 4e8  # 0.15 seconds
N_SIZE, N_SIMULATED = 12, 2000
DRAWS = """
    rng = random.Random(seed)
    unused = [rng.random() for _ in range({})]
    rows = init_weights(model, rng).values()
    weights = np.array([x for matrix in rows for row in matrix for x in row], dtype=np.float32)
    zeros = np.zeros_like(weights)
    state = TrainState(0, weights, zeros, zeros, "float32")
    return train(Split(docs, docs), model=model, config=config, tokenizer=tokenizer, resume=state)
"""
# Each is tried with another order of the vocabulary if NOISY: the pairs then share no initial rows,
# so that a gain of the same size is harder to see.
NOISY = "noisy"
CHANGES: tuple[dict[str, Any], ...] = (
    *({"lr": lr, NOISY: True} for lr in (0.0105, 0.011, 0.0115, 0.012, 0.0125, 0.013, 0.0135)),
    *({"lr": lr, NOISY: True} for lr in (0.014, 0.015, 0.016, 0.017, 0.018, 0.02, 0.025)),
    *({"lr": lr} for lr in (0.0102, 0.011, 0.014, 0.02)),
    *({"beta1": beta} for beta in (0.7, 0.8, 0.82)),
    *({"batch_size": size} for size in (10, 12, 16)),
    *({"init_std": std} for std in (0.05, 0.06, 0.07)),
    {"n_embd": 20},
    {"n_embd": 18, "n_head": 2},
    {"optimizer": "muon", "lr": 0.02},
    {"optimizer": "muon", "lr": 0.015},
    {"architecture": "modern", "lr": 0.03},
    {"batch_size": 12, "lr": 0.012},
)
SHAPE = ("architecture", "init_std")  # settings of the model that the program does not name


def main() -> None:
    """Run all measurements and print them."""
    options = parsed(__doc__, nulls=200, repeats=1, minutes=0.0, only=("nulls", "changes"))
    if options.minutes:
        proposed(options.minutes)
        return
    kept = results_file("research")
    found = json.loads(kept.read_text()) if kept.exists() else {}
    judged = judge()
    if options.only != "changes":
        found |= null_changes(judged, options.nulls)
    if options.only != "nulls":
        found |= true_changes(judged, options.repeats)
    print(store("research", found, options))


def null_table(kept: dict[str, Any]) -> str:
    """Return the table of what three rules keep of changes without an effect."""
    n, m = kept["nulls"], kept["altering"]
    research = f"{kept['kept']} of {n} (at most {kept['upper_limit']:.1%} with 95 % confidence)"
    lines = [
        ["a single run with a lower loss", f"{kept['single_run']:.0%} of {m}"],
        ["two runs below both of the champion", f"{kept['two_seeds']:.0%} of {m}"],
        ["the search alone, 5 to 20 pairs", f"{kept['passed_search']} of {n}"],
        ["`research`, with its confirmation", research],
    ]
    return headed(["rule", "null changes kept"], lines, kept)


def change_table(kept: dict[str, Any]) -> str:
    """Return the table of true changes: how many are kept, by their power."""
    lines = []
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 0.95), (0.95, 1.01)):
        rows = [row for row in kept["changes"] if low <= row["power"] < high]
        if rows:
            gains = sorted(row["gain"] for row in rows)
            expected = sum(row["power"] for row in rows)
            cells = f"{gains[0]:.4f} to {gains[-1]:.4f}", str(len(rows)), f"{expected:.1f}"
            lines.append(
                [f"{low:g} to {min(1, high):g}", *cells, str(sum(r["kept"] for r in rows))]
            )
    return headed(
        ["power", "gains, nats per character", "changes", "expected", "kept"], lines, kept
    )


def judge() -> Judge:
    """Return the judge of all measurements."""
    sets = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)
    return Judge(sets, OPERATIONS)


def begin(folder: Path, seed: int) -> Research:
    """Return a new research."""
    sets = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)
    facts = {"input": "names.txt", "experiment": "experiment.py", "operations": OPERATIONS}
    settings = ResearchSettings(**facts_of(sets), **facts, seed=seed)
    return Research.begin(folder, f"research_{seed}", settings, is_stamped=False)


def nulls() -> Iterator[tuple[bool, str]]:
    """Yield programs that cannot be better, and whether they alter the random stream."""
    imports = "import random\n\nimport numpy as np\nfrom microgpt import TrainState, init_weights\n"
    last = CODE[CODE.index("    return train(") :]
    for i in count():
        if i % 5 == 4:
            yield (
                False,
                CODE.replace("length =", f"length_{i} =").replace("length)", f"length_{i})")
                + f"\n# {i}\n",
            )
        elif i % 5 < 2:
            drawn = CODE.replace(last, DRAWS.format(i + 1))
            yield True, drawn.replace("from collections", f"{imports}from collections", 1)
        else:
            yield True, reordered(CODE, i)


def reordered(code: str, seed: int) -> str:
    """Return a program with another order of the vocabulary."""
    chars = "".join(random.Random(seed).sample("abcdefghijklmnopqrstuvwxyz", 26))
    code = code.replace("char_tokenizer(docs)", f'CharTokenizer("{chars}")')
    return code.replace("char_tokenizer", "CharTokenizer", 1)


def null_changes(judged: Judge, n: int) -> dict[str, Any]:
    """Try programs that cannot be better, and count what each rule would have kept."""
    started, verdicts, tries = perf_counter(), list[Try](), list[Try]()
    seconds = list[float]()
    with TemporaryDirectory() as folder, begin(Path(folder), 1) as research:
        research.run(CODE, judged)
        for (alters, code), _ in zip(nulls(), range(n), strict=False):
            before = perf_counter()
            verdicts.append(research.run(code, judged))
            seconds.append(perf_counter() - before)
            assert verdicts[-1].gain, verdicts[-1].verdict
            tries += [verdicts[-1]] * alters
            if len(verdicts) % 20 == 0:
                print(len(verdicts), sum(t.verdict == KEPT for t in verdicts), flush=True)
    kept, m = sum(each.verdict == KEPT for each in verdicts), len(tries)
    return {
        "nulls": n, "altering": m, "kept": kept, "upper_limit": upper_limit(kept, n),
        "passed_search": sum(bool(each.gains(CONFIRM)) for each in verdicts),
        "single_run": sum(each.gains(SEARCH)[0] > 0 for each in tries) / m,
        "two_seeds": sum(is_clear(each) for each in tries) / m,
        "null_seconds": median(seconds), "per_hour": n / (perf_counter() - started) * 3600,
        "deviation": stdev([gain for each in tries for gain in each.gains(SEARCH)]),
    }  # fmt: skip


def is_clear(each: Try) -> bool:
    """Return whether both of two runs have lower losses than both of the champion."""
    ours, theirs = zip(*each.losses(SEARCH)[:2], strict=True)
    return max(ours) < min(theirs)


def upper_limit(kept: int, n: int) -> float:
    """Return the one-sided 95 % limit of a share (Clopper and Pearson 1934)."""
    from math import comb

    low, high = kept / n, 1.0
    for _ in range(50):
        p = (low + high) / 2
        below = sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(kept + 1))
        low, high = (p, high) if below > 0.05 else (low, p)
    return high


def improved(change: dict[str, Any]) -> str:
    """Return the program with a change."""
    code = CODE
    for name, value in change.items():
        pattern = rf'"{name}": [^,]*,'
        if re.search(pattern, code):
            code = re.sub(pattern, f'"{name}": {value!r},', code)
        elif name == NOISY:
            code = reordered(code, 1000)
        elif name in SHAPE:
            code = code.replace("block_size=16", f"block_size=16, {name}={value!r}")
        else:
            code = code.replace("seed=seed", f"seed=seed, {name}={value!r}")
    return code


def true_changes(judged: Judge, repeats: int) -> dict[str, Any]:
    """Try improvements, and compare how many are kept with the power of their sizes."""
    seeds = range(10**6, 10**6 + N_SIZE)
    base = [judged.measure(CODE, seed, "validation")[0].fitness for seed in seeds]
    rows, seconds = list[dict[str, Any]](), list[float]()
    for number, change in enumerate(CHANGES):
        # Another order of the vocabulary changes the deviation of the gains and not their mean,
        # which is measured more precisely without it.
        plain = {name: value for name, value in change.items() if name != NOISY}
        gain = deviation = 0.0
        code = ""
        for each in (plain, change):
            code = improved(each)
            found = [judged.measure(code, seed, "validation")[0] for seed in seeds]
            assert all(each.is_ok for each in found), (change, found[0].reason)
            gains = [before - each.fitness for before, each in zip(base, found, strict=True)]
            gain, deviation = gain or fmean(gains), stdev(gains)
        effect = gain / deviation
        row = {"change": change, "gain": gain, "effect": effect, "power": power(effect)}
        row["kept"] = 0
        for i in range(repeats):
            seed = 100 * number + i + 2
            with TemporaryDirectory() as folder, begin(Path(folder), seed) as research:
                publish(research.directory / "tries", {"0.py": CODE.encode()})
                before = perf_counter()
                row["kept"] += research.run(code, judged).verdict == KEPT
                seconds.append(perf_counter() - before)
        rows.append(row)
        print(row, flush=True)
    return {"changes": rows, "repeats": repeats, "true_seconds": median(seconds)}


def power(effect: float) -> float:
    """Return the simulated probability that a normal gain of so many deviations is kept."""
    rng = random.Random(1)
    draws = ([rng.gauss(effect, 1) for _ in range(36)] for _ in range(N_SIMULATED))
    return sum(decide(gains[:20], gains[20:]) == KEPT for gains in draws) / N_SIMULATED


def proposed(minutes: float) -> None:
    """Let the built-in proposer run, and compare its champion on the test part."""
    end, judged = perf_counter() + 60 * minutes, judge()
    with TemporaryDirectory() as folder, begin(Path(folder), 1) as research:
        research.run(CODE, judged)
        while perf_counter() < end:
            each = research.run(research.propose(), judged)
            print(each.describe(), flush=True)
        kept = sum(each.verdict == KEPT for each in research.tries[1:])
        print(f"kept {kept} of {len(research.tries) - 1}, test gain {research.read_test(judged)}")
        print(research.tries[-1].winner)


TABLES = {"research_nulls": null_table, "research_changes": change_table}

if __name__ == "__main__":
    main()
