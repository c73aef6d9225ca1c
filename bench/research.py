"""Whether a research keeps changes that cannot matter, and improvements of known sizes.

    uv run python bench/research.py [--only nulls|changes] [--nulls 200]

Null changes are tried one after the other in one research: 160 alter the random stream (unused
draws; another order of the vocabulary, whose initial rows are equal in distribution), and the
others nothing (another name). Improvements of Karpathy's settings, most of them in the direction of
the presets, are tried against these; their sizes are measured with 12 other seeds, and the power
follows from them by simulation. An hour.
"""

import random
import re
from math import comb
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from harness import ROOT, headed, parsed, store

from microgpt import bundled, load_text, publish, split
from microgpt_evolution.research.judge import Judge
from microgpt_evolution.research.research import Research, Try
from microgpt_evolution.research.sequential_test import CONFIRM, KEPT, SEARCH, decide
from microgpt_evolution.study_settings import ResearchSettings, facts_of

CODE = (ROOT / "examples" / "research" / "experiment.py").read_text()
OPERATIONS = 4e8  # 0.15 seconds
SETS = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)
N_SIZE, N_SIMULATED = 12, 2000
# The end of a program whose initial weights follow unused draws.
DRAWS = """\
    import random
    import numpy as np
    from microgpt import TrainState, init_weights
    rng = random.Random(seed)
    unused = [rng.random() for _ in range({})]
    rows = [np.ravel(matrix) for matrix in init_weights(model, rng).values()]
    weights = np.concatenate(rows).astype(np.float32)
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
    options = parsed(__doc__, nulls=200, only=("nulls", "changes"))
    judged = Judge(SETS, OPERATIONS)
    if options.only != "changes":
        found = null_changes(judged, options.nulls)
        print(null_table(store("research_nulls", found, options)))
    if options.only != "nulls":
        found = {"changes": true_changes(judged)}
        print(change_table(store("research_changes", found, options)))


def begin(folder: str, seed: int) -> Research:
    """Return a new research."""
    facts = {"input": "names.txt", "experiment": "experiment.py", "operations": OPERATIONS}
    settings = ResearchSettings(**facts_of(SETS), **facts, seed=seed)
    return Research.begin(Path(folder), f"research_{seed}", settings, is_stamped=False)


def null(number: int) -> str:
    """Return a program that cannot be better; one in five leaves the random stream as it is."""
    if number % 5 > 2:
        return reordered(CODE, number)
    if number % 5:
        return CODE[: CODE.index("    return train(")] + DRAWS.format(number)
    name = f"length_{number}"
    return CODE.replace("length =", f"{name} =").replace("length)", f"{name})")


def reordered(code: str, seed: int) -> str:
    """Return a program with another order of the vocabulary."""
    chars = "".join(random.Random(seed).sample("abcdefghijklmnopqrstuvwxyz", 26))
    code = code.replace("char_tokenizer(docs)", f'CharTokenizer("{chars}")')
    return code.replace("char_tokenizer", "CharTokenizer", 1)


def null_changes(judged: Judge, n: int) -> dict[str, Any]:
    """Try programs that cannot be better, and count what each rule would have kept."""
    verdicts, altering = list[Try](), list[Try]()
    with TemporaryDirectory() as folder, begin(folder, 1) as research:
        for number in range(n):
            verdicts.append(research.run(null(number), judged))
            assert verdicts[-1].gain, verdicts[-1].verdict
            altering += [verdicts[-1]] * bool(number % 5)
    kept, m = sum(each.verdict == KEPT for each in verdicts), len(altering)
    first_two = [zip(*each.losses(SEARCH)[:2], strict=True) for each in altering]
    return {
        "nulls": n, "altering": m, "kept": kept, "upper_limit": upper_limit(kept, n),
        "passed_search": sum(bool(each.gains(CONFIRM)) for each in verdicts),
        "single_run": sum(each.gains(SEARCH)[0] > 0 for each in altering) / m,
        "two_seeds": sum(max(ours) < min(theirs) for ours, theirs in first_two) / m,
    }  # fmt: skip


def upper_limit(kept: int, n: int) -> float:
    """Return the one-sided 95 % limit of a share (Clopper and Pearson 1934)."""
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
            code = reordered(code, 1000) if value else code
        elif name in SHAPE:
            code = code.replace("block_size=16", f"block_size=16, {name}={value!r}")
        else:
            code = code.replace("seed=seed", f"seed=seed, {name}={value!r}")
    return code


def true_changes(judged: Judge) -> list[dict[str, Any]]:
    """Try improvements, and return whether each is kept, and the power of its size."""
    seeds = range(10**6, 10**6 + N_SIZE)

    def losses(code: str) -> list[float]:
        found = [judged.measure(code, seed, "validation")[0] for seed in seeds]
        assert all(each.is_ok for each in found), found[0].reason
        return [each.fitness for each in found]

    def gains(code: str) -> list[float]:
        return [before - after for before, after in zip(base, losses(code), strict=True)]

    base, rows = losses(CODE), list[dict[str, Any]]()
    for number, change in enumerate(CHANGES):
        # Another order of the vocabulary changes the deviation of the gains and not their mean,
        # which is measured more precisely without it.
        gain = fmean(gains(improved({**change, NOISY: False})))
        code = improved(change)
        effect = gain / stdev(gains(code))
        with TemporaryDirectory() as folder, begin(folder, 100 * number + 2) as research:
            publish(research.directory / "tries", {"0.py": CODE.encode()})
            kept = research.run(code, judged).verdict == KEPT
        row = {"change": change, "gain": gain, "effect": effect, "power": power(effect)}
        rows.append({**row, "kept": int(kept)})
        print(rows[-1], flush=True)
    return rows


def power(effect: float) -> float:
    """Return the simulated probability that a normal gain of so many deviations is kept."""
    rng = random.Random(1)
    draws = ([rng.gauss(effect, 1) for _ in range(36)] for _ in range(N_SIMULATED))
    return sum(decide(gains[:20], gains[20:]) == KEPT for gains in draws) / N_SIMULATED


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


TABLES = {"research_nulls": null_table, "research_changes": change_table}

if __name__ == "__main__":
    main()
