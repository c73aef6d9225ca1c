"""Helpers for tests of searches: data, processes, and the files of a run."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from subprocess import PIPE, Popen

from microgpt import InferenceGpt, count_params
from microgpt.data.split import split
from microgpt_evolution.genome import Genome
from microgpt_evolution.report.ranking import Ranking
from microgpt_evolution.study_settings import SearchSettings, SweepSettings
from microgpt_evolution.trial import TrialRecord, with_checksum

DOCS = [a + b + c + d for a in "aeiou" for b in "mnrst" for c in "aeo" for d in ["", "l", "nn"]]
PARTS = split(DOCS, validation=0.2, test=0.2)
SETTINGS = SearchSettings(  # for tests that write the records of a search without running it
    objective="loss", input="names.txt", data_sha256="", population=8, generations=2, seed=42,
    fitness="held-out",
)  # fmt: skip
SMALL = ("--input", "names.txt", "--population", "4", "--generations", "4", "--seed", "5")
_QUICK = ("--population", "3", "--generations", "2", "--seed", "5")
AESTHETIC = ("--objective", "aesthetic", *_QUICK)
HYDRA = ("--objective", "hydra", *_QUICK)


def changed(search: Sequence[str], *options: str) -> list[str]:
    """Return the options of a search command with some values changed or added."""
    values = dict(zip(search[::2], search[1::2], strict=True))
    values |= zip(options[::2], options[1::2], strict=True)
    return [*chain.from_iterable(values.items())]


def write_names(folder: Path) -> None:
    """Write a few hundred made-up names to names.txt and data/names.txt."""
    (folder / "data").mkdir()
    for path in ("names.txt", "data/names.txt"):
        (folder / path).write_text("\n".join(DOCS))


def begin(folder: Path, *options: str, until: str = "Generation 1/") -> Popen:
    """Start a search, and return its process after it has printed `until`."""
    process = Popen(
        ["microgpt", "evolve", "--trace", *options], cwd=folder, stdout=PIPE, stderr=PIPE, text=True
    )
    assert any(until in line for line in process.stdout)
    return process


def run_of(folder: Path) -> Path:
    """Return the directory of the newest study in experiments/."""
    return max(path for path in (folder / "experiments").iterdir() if path.is_dir())


def evaluations_of(run: Path) -> list[dict[str, object]]:
    """Return the recorded evaluations without durations, in an order that no duration affects."""
    lines = map(json.loads, (run / "trials.jsonl").read_text().splitlines())
    timeless = ({**line, "seconds": 0, "crc32": 0} for line in lines)
    return sorted(
        timeless, key=lambda line: (line.get("id", ""), str(line["genome"]), line["seed"])
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of each file in a folder except hidden files, by its path."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def vowels(model: InferenceGpt) -> float:
    """Return the negative fraction of vowels in 20 samples, as a fitness."""
    text = "".join(model.generate(20, seed=1))
    return -sum(letter in "aeiou" for letter in text) / max(1, len(text))


def edit_evaluations(run: Path, old: str, new: str) -> None:
    """Replace the first occurrence of `old` in trials.jsonl, and update the checksums."""
    path = run / "trials.jsonl"
    text = re.sub(r',"crc32":"[0-9a-f]{8}"}$', "}", path.read_text(), flags=re.MULTILINE)
    assert old in text
    path.write_bytes(b"".join(map(with_checksum, text.replace(old, new, 1).encode().splitlines())))


def ranking_of(losses: Mapping[Genome, Sequence[float | None]], **settings: object) -> Ranking:
    """Return the ranking of a sweep with the given losses by seed; None is a diverged run."""
    seeds = tuple(range(1, 1 + max(map(len, losses.values()))))
    facts = {"input": "a", "data_sha256": "", **settings}
    records = [
        TrialRecord(
            genome=genome, seed=seed, status="diverged" if loss is None else "ok",
            val_loss=loss, last_loss=loss, flops=1,
            n_params=count_params(genome.model(vocab_size=27)),
        )
        for genome, of_genome in losses.items()
        for seed, loss in zip(seeds, of_genome, strict=True)
    ]  # fmt: skip
    return Ranking(SweepSettings(genomes=tuple(losses), seeds=seeds, **facts), records)


def log_of(run: Path) -> str:
    """Return the text of the log file of a run."""
    return run.with_name(f"{run.name}.log").read_text()
