"""Measure how often `microgpt research` keeps null changes, and improvements of known sizes.

    uv run python bench/research.py [--only nulls|changes|proposer] [--nulls 200] [--minutes 40]

Null changes do not improve the program. They are tried one by one in one study: 160 alter only the
random stream, by unused draws or another order of the vocabulary, and 40 only rename a variable.
Improvements of Karpathy's settings, most of them towards the presets, are tried against his
settings. Their sizes are measured with 12 other seeds, and the power of the test is simulated for
these sizes. All of this takes an hour.

`--only proposer`: for 80 minutes, the built-in proposer and Optuna search the settings in turns
with the same number of operations; three fresh seeds score what they find on the test part.
"""

import json
import random
import re
from pathlib import Path
from statistics import fmean, median, stdev
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from harness import ROOT, headed, mean_and_sd, needs, parsed, store
from search_fight import OPTUNA

from microgpt import bundled, load_text, publish, split
from microgpt.exact_match import ExactMatches
from microgpt_evolution.research.judge import Judge
from microgpt_evolution.research.research import Research, Try
from microgpt_evolution.research.sequential_test import CONFIRM, KEPT, SEARCH, decide
from microgpt_evolution.study_settings import ResearchSettings, facts_of

CODE = (ROOT / "examples" / "research" / "experiment.py").read_text()
OPERATIONS = 4e8  # number of operations per training run, which takes 0.15 seconds
SETS = split(load_text(bundled("names.txt")), validation=0.1, test=0.1)
N_SIZE, N_SIMULATED = 12, 2000
# Code appended to a program, so that its random generators begin with unused draws.
DRAWS = """
import random

class Later(random.Random):
    def seed(self, *args):
        super().seed(*args)
        self.unused = [self.random() for _ in range({})]

random.Random = Later
"""
# A NOISY change is tried with another order of the vocabulary: paired runs then give the tokens
# different initial embeddings, so that a gain of the same size is harder to detect.
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
START = {name: json.loads(n) for name, n in re.findall(r'"(\w+)": ([\d.]+)', CODE)}


def main() -> None:
    """Run the selected measurements, and print the results."""
    options = parsed(__doc__, nulls=200, minutes=40.0, only=("nulls", "changes", "proposer"))
    judged = Judge(SETS, OPERATIONS, seconds=600)  # enough even for a busy machine
    if options.only == "proposer":
        needs(OPTUNA)
        found = proposer(judged, options.minutes)
        print(proposer_table(store("research_proposer", found, options)))
    if options.only in (None, "nulls"):
        found = null_changes(judged, options.nulls)
        print(null_table(store("research_nulls", found, options)))
    if options.only in (None, "changes"):
        found = {"changes": true_changes(judged)}
        print(change_table(store("research_changes", found, options)))


def begin(folder: str, seed: int) -> Research:
    """Return a new research study in a folder."""
    facts = {"input": "names.txt", "experiment": "experiment.py", "operations": OPERATIONS}
    settings = ResearchSettings(**facts_of(SETS), **facts, seed=seed)
    return Research.begin(Path(folder), f"research_{seed}", settings, is_stamped=False)


def null(number: int) -> str:
    """Return a program with a null change; one in five such changes keeps the random stream."""
    if number % 5 > 2:
        return reordered(CODE, number)
    if number % 5:
        return CODE + DRAWS.format(number)
    name = f"length_{number}"
    return CODE.replace("length =", f"{name} =").replace("length)", f"{name})")


def reordered(code: str, seed: int) -> str:
    """Return a program with another order of the vocabulary."""
    chars = "".join(random.Random(seed).sample("abcdefghijklmnopqrstuvwxyz", 26))
    code = code.replace("char_tokenizer(docs)", f'CharTokenizer("{chars}")')
    return code.replace("char_tokenizer", "CharTokenizer", 1)


def null_changes(judged: Judge, n: int) -> dict[str, Any]:
    """Try programs with null changes, and count how many of them each rule would have kept."""
    verdicts, altering = list[Try](), list[Try]()
    with TemporaryDirectory() as folder, begin(folder, 1) as research:
        for number in range(n):
            verdicts.append(found := research.run(null(number), judged))
            assert found.gain, found.verdict
            altering += [found] * bool(number % 5)
    kept, m = sum(each.verdict == KEPT for each in verdicts), len(altering)
    first_two = [zip(*(pair.losses for pair in each.records[:2]), strict=True) for each in altering]
    return {
        "nulls": n, "altering": m, "kept": kept, "upper_limit": ExactMatches(n, kept).interval[1],
        "passed_search": sum(bool(each.gains(CONFIRM)) for each in verdicts),
        "single_run": sum(each.gains(SEARCH)[0] > 0 for each in altering) / m,
        "two_seeds": sum(max(ours) < min(theirs) for ours, theirs in first_two) / m,
    }  # fmt: skip


def improved(change: dict[str, Any]) -> str:
    """Return the program with changed settings."""
    code = reordered(CODE, 1000) if change.get(NOISY) else CODE
    code = code.replace('"n_ff_exp")}', '"n_ff_exp", *SHAPE) if name in SETTINGS}')
    settings = {name: value for name, value in change.items() if name != NOISY}
    return f"{code}\nSHAPE = 'architecture', 'init_std'\nSETTINGS.update({settings})\n"


def true_changes(judged: Judge) -> list[dict[str, Any]]:
    """Try improvements; return the size and the power of each, and whether it is kept."""
    seeds = range(10**6, 10**6 + N_SIZE)

    def losses(code: str) -> list[float]:
        found = [judged.measure(code, seed, "validation")[0] for seed in seeds]
        assert all(each.is_ok for each in found), found[0].reason
        return [each.fitness for each in found]

    def gains(code: str) -> list[float]:
        return [before - after for before, after in zip(base, losses(code), strict=True)]

    base, rows = losses(CODE), list[dict[str, Any]]()
    for number, change in enumerate(CHANGES):
        # A new order of the vocabulary changes the deviation of the gains but not their mean, so
        # the mean is measured, more precisely, with the original order.
        gain = fmean(gains(improved({**change, NOISY: False})))
        code = improved(change)
        effect = gain / stdev(gains(code))
        with TemporaryDirectory() as folder, begin(folder, 100 * number + 2) as research:
            publish(research.directory / "tries", {"0.py": CODE.encode()})
            started = perf_counter()
            kept = research.run(code, judged).verdict == KEPT
            seconds = round(perf_counter() - started, 2)
        row = {"change": change, "gain": gain, "effect": effect, "power": power(effect)}
        rows.append({**row, "kept": int(kept), "seconds": seconds})
        print(rows[-1], flush=True)
    return rows


def power(effect: float) -> float:
    """Return the simulated probability that a change with gains from N(effect, 1) is kept."""
    rng = random.Random(1)
    draws = ([rng.gauss(effect, 1) for _ in range(36)] for _ in range(N_SIMULATED))
    return sum(decide(gains[:20], gains[20:]) == KEPT for gains in draws) / N_SIMULATED


def proposer(judged: Judge, minutes: float) -> dict[str, Any]:
    """Let the proposer and Optuna search in turns, and measure the test loss of their programs."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    study.enqueue_trial(START)
    ours, theirs, ends = 5 * OPERATIONS, 0.0, perf_counter() + 120 * minutes
    with TemporaryDirectory() as folder, begin(folder, 3) as research:
        research.run(CODE, judged)
        while perf_counter() < ends:
            if ours <= theirs:
                last = research.run(research.propose(), judged)
                ours += sum(OPERATIONS + each.flops for each in last.records)
                continue
            trial = study.ask()
            change = {name: suggested(trial, name, value) for name, value in START.items()}
            found, operations = judged.measure(improved(change), trial.number, "validation")
            study.tell(trial, found.fitness)
            theirs += operations
        tries = research.tries
    programs = {"the initial program": CODE, "the proposer": tries[-1].winner}
    programs["Optuna (TPE)"] = improved(study.best_params)
    return {
        "programs": programs, "tried": [1, len(tries) - 1, len(study.trials)],
        "operations": [OPERATIONS, ours, theirs],
        "losses": [
            [judged.measure(code, 10**9 + i, "test")[0].fitness for i in range(3)]
            for code in programs.values()
        ],
    }  # fmt: skip


def suggested(trial: Any, name: str, value: float) -> float:
    """Return Optuna's value of a setting, from a quarter to four times that of the program."""
    if isinstance(value, int):
        return trial.suggest_int(name, max(1, value // 4), 4 * value, log=True)
    return trial.suggest_float(name, value / 4, min(4 * value, 0.999), log=True)


def null_table(kept: dict[str, Any]) -> str:
    """Return a table of how many null changes each rule keeps."""
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
    """Return the table of improvements: how many are kept, by power."""
    lines = []
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 0.95), (0.95, 1.01)):
        if rows := [row for row in kept["changes"] if low <= row["power"] < high]:
            gains, n_kept = sorted(row["gain"] for row in rows), sum(row["kept"] for row in rows)
            sizes = f"{gains[0]:.4f} to {gains[-1]:.4f}"
            expected = f"{sum(row['power'] for row in rows):.1f}"
            lines.append([f"{low:g} to {high:.2g}", sizes, str(len(rows)), expected, str(n_kept)])
    head = ["power", "gains, nats per character", "changes", "expected", "kept"]
    seconds = [row["seconds"] for row in kept["changes"]]
    speed = f"{median(seconds):.1f} s, so {3600 / fmean(seconds):.0f} changes are tried in an hour"
    return f"{headed(head, lines, kept)}\n\nA verdict takes a median of {speed} on one core."


def proposer_table(kept: dict[str, Any]) -> str:
    """Return the table of the test losses of the initial program and of the programs found."""
    rows = zip(kept["programs"], kept["tried"], kept["operations"], kept["losses"], strict=True)
    lines = [[name, str(n), f"{cost:.2e}", mean_and_sd(losses)] for name, n, cost, losses in rows]
    return headed(["program", "tried", "operations", "test loss, three seeds"], lines, kept)


TABLES = {
    "research_nulls": null_table,
    "research_changes": change_table,
    "research_proposer": proposer_table,
}

if __name__ == "__main__":
    main()
