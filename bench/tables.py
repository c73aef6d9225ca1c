"""Markdown tables of the benchmark results for report.py, with one row per machine."""

import re
import statistics
from collections.abc import Callable
from functools import partial

NAMES = {"microgpt": "microgpt", "jax": "JAX", "torch": "PyTorch", "numpy": "NumPy"}

Rows = list[list[str]]  # each row starts with its label


def table(head: list[str], rows_of: Callable[[dict], Rows], machines: list[dict]) -> str:
    """Return a table with the machines grouped by row label, followed by the conditions."""
    return f"{bare_table(head, rows_of, machines)}\n\n{conditions(machines)}"


def bare_table(head: list[str], rows_of: Callable[[dict], Rows], machines: list[dict]) -> str:
    """Return a table without the conditions of the measurements."""
    lines = [[head[0], "", *head[1:]], ["---"] * (len(head) + 1)]
    for same in zip(*map(rows_of, machines), strict=True):
        for i, (machine, (label, *cells)) in enumerate(zip(machines, same, strict=True)):
            lines.append(["" if i else label, processor(machine), *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def conditions(machines: list[dict]) -> str:
    """Return the machines and dates of the measurements as text."""
    processors: dict[str, list[str]] = {}
    for machine in machines:
        others = machine["machine"].split(", ", 1)[1]
        processors.setdefault(f"{others}; {machine['date']}.", []).append(processor(machine))
    return " ".join(f"{' and '.join(each)}, {others}" for others, each in processors.items())


def processor(machine: dict) -> str:
    """Return the short name of a machine's processor."""
    return re.sub(r"\(R\)|\(TM\)| Processor", "", machine["machine"].split(",")[0])


def speed_rows(speed: dict) -> Rows:
    """Return a row for each setting, with the median times and their ratios to ours."""
    rows = []
    for setting in speed["settings"]:
        seconds = {name: middle(c) for name, c in setting["contenders"].items()}
        ours = seconds.pop("microgpt")
        others = [f"{amount(setting, s)} ({s / ours:.1f} ×)" for s in seconds.values()]
        others += [""] * (len(NAMES) - 1 - len(others))  # NumPy has no variants
        rows.append([setting["name"], f"**{amount(setting, ours)}**", *others])
    return rows


def amount(setting: dict, seconds: float) -> str:
    """Format a time in the unit of the setting."""
    if setting["name"].startswith(("chat", "text")):
        return f"{setting['tokens'] / seconds:,.0f} tokens/s"
    micros = seconds / setting["documents"] * 1e6
    return f"{micros:.1f} µs" if micros < 100 else f"{micros:.0f} µs"


def middle(contender: dict) -> float:
    """Return the median seconds over a contender's rounds."""
    return statistics.median(contender["seconds"])


def scaling_tables(machines: list[dict]) -> str:
    """Return a table for each size that train_scaling.py varies."""
    tables = [
        bare_table(
            [name, *(str(row["size"]) for row in rows)], partial(scaling_rows, name), machines
        )
        for name, rows in machines[0]["sizes"].items()
    ]
    return "\n\n".join([*tables, conditions(machines)])


def scaling_rows(name: str, scaling: dict) -> Rows:
    """Return the time per token at each value of a size, and the speed in GFLOP/s."""
    rows = scaling["sizes"][name]
    return [
        ["µs per token", *(f"{row['ns_per_token'] / 1e3:.2f}" for row in rows)],
        ["GFLOP/s", *(f"{row['gflops']:.0f}" for row in rows)],
    ]


def decoding_rows(decoding: dict) -> Rows:
    """Return a row for each model and batch size, with the decoding speeds."""
    rows = []
    for row in decoding["decoding"]:
        speeds = dict(row["tokens_per_s"])
        ours = speeds.pop("microgpt")
        others = [f"{speed:,.0f} ({ours / speed:.1f} ×)" for speed in speeds.values()]
        rows.append([row["name"], f"**{ours:,.0f}**", *others])
    return rows


def names_rows(decoding: dict) -> Rows:
    """Return the speeds of seeding and of the whole command."""
    seeding, names = decoding["seeding"], decoding["names"]
    one, many = seeding["random.Random"], seeding["in bulk"]
    return [
        ["random numbers per name, one `random.Random` per name", f"{one:.2f} µs"],
        ["the same numbers in bulk", f"**{many:.2f} µs** ({one / many:.1f} ×)"],
        [
            f"`microgpt generate --num-samples {names['n']}`, start-up subtracted",
            f"**{names['names_per_s']:,.0f} names/s**",
        ],
    ]


def evaluating_rows(decoding: dict) -> Rows:
    """Return a row for each model, with the times of training and evaluation."""
    rows = []
    for row in decoding["evaluating"]:
        cells = [
            f"{row[what] * 1e3:.1f} ms ({row[what] / row['train']:.2f} ×)"
            for what in ("kernels", "evaluate")
        ]
        name = f"d{row['n_embd']}, {row['n_docs']:,} names"
        rows.append([name, f"{row['train'] * 1e3:.1f} ms", *cells])
    return rows


def threads_rows(threads: dict) -> Rows:
    """Return a row for each task, with its times with one thread and with two."""
    rows = []
    for row in threads["organisms"]:
        alone, both = row["one after another"], row["threads"]
        against = f"{alone / both:.2f} × (two processes: {alone / row['processes']:.2f} ×)"
        rows.append([row["name"], f"{alone:.3f} s", f"{both:.3f} s", against])
    for row in threads["training"]:
        one, two = row["threads 1"], row["threads 2"]
        name = f"training step, {row['name']}"
        rows.append([name, f"{one * 1e3:.2f} ms", f"{two * 1e3:.2f} ms", f"{one / two:.2f} ×"])
    for row in threads["using"]:
        one, two = row["threads 1"], row["threads 2"]
        rows.append([row["name"], f"{one:.3f} s", f"{two:.3f} s", f"{one / two:.2f} ×"])
    return rows


def startup_rows(startup: dict) -> Rows:
    """Return a row for each command, with its time and its ratio to the baseline."""
    rows = [
        [f"`{row['name']}`", f"{row['seconds']:.2f} s", f"{row['ratio']:.1f} ×"]
        for row in startup["commands"]
    ]
    return [*rows, ["first `microgpt train`, which compiles", f"{startup['first_s']:.1f} s", ""]]


def evolution_rows(evolution: dict) -> Rows:
    """Return the rows on the cost and overhead of searches."""
    names = evolution["searches"][0]
    middle = {name: statistics.median(s[name] for s in evolution["searches"]) for name in names}
    slowest = max(search["process"] for search in evolution["searches"])
    of_search = 1 - middle["kernels of the search"] / middle["search"]
    of_process = 1 - middle["kernels"] / middle["process"]
    one, two, processes = evolution["workers"].values()
    counts, bytes_ = evolution["memory"].values()
    sizes = ", ".join(
        f"{size / 1e6:.0f} MB after {n:,}" for n, size in zip(counts, bytes_, strict=True)
    )
    driver, plain = (1e6 * seconds for seconds in evolution["driver"].values())
    beauty = [
        [f"`--objective {objective}`", f"{seconds['process']:.1f} s"]
        for objective, seconds in evolution["beauty"].items()
    ]
    if budget := evolution.get("budget"):
        rest = 1 - budget["kernels of the search"] / budget["search"]
        beauty.append(
            ["`--budget 2e13`", f"{budget['process']:.0f} s, {rest:.1%} outside training"]
        )
    return [
        [
            "search, whole command",
            f"{middle['process']:.1f} s (at most {slowest:.1f} s)",
        ],
        *beauty,
        ["organisms per second", f"{middle['evaluations'] / middle['search']:.0f}"],
        ["share of the search outside training and scoring", f"{of_search:.0%}"],
        ["share of the command outside training and scoring", f"{of_process:.0%}"],
        [
            "two workers",
            f"{one / two:.2f} × as fast as one "
            f"(two searches in two processes: {2 * one / processes:.2f} ×)",
        ],
        ["memory by number of evaluations", sizes],
        ["overhead per task", f"{driver:.0f} µs (a plain `map`: {plain:.0f} µs)"],
    ]


def fitness_table(fitness: dict) -> str:
    """Return a table of the champions' losses by kind of search, and of the primordial genome's."""
    lines = [
        [
            "",
            "last document (search)",
            "last document (retest)",
            "held out (retest)",
            "test (retest)",
            "MFLOP per training run",
        ],
        ["---"] * 6,
    ]
    for kind, summary in fitness["summary"].items():
        losses = [interval(summary[name], 3) for name in ("found", "last", "val", "test")]
        lines.append([kind, *losses, interval(summary["mflops"], 0)])
    rows = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{rows}\n\n{conditions([fitness])}"


def exchange_genomes_table(exchanges: dict) -> str:
    """Return a table of the mean numbers of distinct genomes and species after each cycle."""
    n_cycles = len(exchanges["runs"]["migrate"][0]["genomes"])
    lines = [["after cycle", *(str(cycle + 1) for cycle in range(n_cycles))]]
    lines.append(["---"] * len(lines[0]))
    for what in ("genomes", "species"):
        for exchange, runs in exchanges["runs"].items():
            counts = zip(*(run[what] for run in runs), strict=True)
            means = [f"{statistics.fmean(each):.1f}" for each in counts]
            lines.append([f"{what}, `{exchange}`", *means])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def exchange_champions_table(exchanges: dict) -> str:
    """Return a table of the scores of each head's champions by exchange, with differences."""
    lines = [["champion", "`migrate`", "`source`", "difference", "95 % interval"]]
    lines.append(["---"] * len(lines[0]))
    for head, found in exchanges["champions"].items():
        scores = [f"{found[name]:.3f}" for name in ("migrate", "source")]
        ends = " … ".join(f"{end:+.3f}" for end in found["interval"])
        lines.append([head.title(), *scores, f"{found['difference']:+.3f}", ends])
    rows = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{rows}\n\n{conditions([exchanges])}"


CHAT_SETS = {
    "heldout": "held-out", "wordings": "unseen wordings", "fresh": "fresh wordings",
}  # fmt: skip


def chat_table(quality: dict) -> str:
    """Return a table of the shares of exact answers per task: mean and minimum over the seeds."""
    first = quality["trainings"][0]
    lines = [["task", *(cell for title in CHAT_SETS.values() for cell in (title, "items"))]]
    lines.append(["---", *["---:"] * (len(lines[0]) - 1)])
    tasks = list(dict.fromkeys(task for split in CHAT_SETS for task in first[split]["tasks"]))
    for task in tasks:
        lines.append([task])
        for split in CHAT_SETS:
            n_items = first[split]["tasks"].get(task, (0, 0))[1]
            lines[-1] += [shares(quality, split, [task]), f"{n_items:,}" if n_items else ""]
    lines += [["*mean of the tasks*"], ["*wrongly refused*"]]
    for split in CHAT_SETS:
        lines[-2] += [shares(quality, split, tasks), ""]
        lines[-1] += [refusals(quality, split), ""]
    rows = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{rows}\n\n{conditions([quality])}"


def shares(quality: dict, split: str, tasks: list[str]) -> str:
    """Format the mean share of exact answers to the tasks over the seeds, and the lowest share."""
    found = [
        statistics.fmean(n_exact / n for n_exact, n in scores)
        for training in quality["trainings"]
        if (scores := [training[split]["tasks"][t] for t in tasks if t in training[split]["tasks"]])
    ]
    return f"{statistics.fmean(found):.1%} ({min(found):.1%})" if found else ""


def refusals(quality: dict, split: str) -> str:
    """Format the mean share of refused items that are in the grammar, and the highest share."""
    found = [
        n_refused / n
        for training in quality["trainings"]
        for n_refused, n in [training[split]["refused"]]
    ]
    return f"{statistics.fmean(found):.2%} ({max(found):.2%})"


def interval(mean_and_half: list[float], decimals: int) -> str:
    """Format a mean, with the half-width of its confidence interval if there is one."""
    return " ± ".join(f"{number:,.{decimals}f}" for number in mean_and_half) or "–"
