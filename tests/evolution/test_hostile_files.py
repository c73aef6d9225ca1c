"""Files of strangers, mutated at random: each is read or refused in one printable line."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from searches import SETTINGS

from microgpt.errors import MicrogptError
from microgpt_evolution.genome_file import read_genome
from microgpt_evolution.runs.run_files import read_settings
from microgpt_evolution.search.records import EvaluationRecord
from microgpt_evolution.search.retest import read_retest
from microgpt_evolution.sweep.records import SweepResult, SweepSettings

ODD = "\x1b]0;x\x07\x9b\u202e\r\n"
VALUES = [
    *(None, True, -1, 1.5, 2**63, 10**400, float("nan"), float("inf"), 1e308, 5e-324),
    *("", ODD, "\x00", "\ud800", "1e400", "x" * 10**5, [], {}, [[None]], {ODD: ODD}, [1] * 10**4),
]
NUMBERS = {"n_emb": 8, "n_ctx": 8, "n_layer": 1, "n_head": 2, "n_ff_exp": 2, "steps": 50, "lr": 0.1}
MEASURES = {"found": 2.5, "again": [2.5, 2.6]}
FILES: dict[str, Any] = {
    "genome.json": NUMBERS | {"loss": 2.5, "generation": 1, "seed": 1, "head": "weaver"},
    "run.json": {"version": 2, "created_by": "a", "created_at": "b", "settings": {"seed": 1}},
    "exam.json": {"id": "g1-1", "names": ["anna"], "scores": {"judge": MEASURES}}
    | dict.fromkeys(("last_loss", "val_loss", "test_loss"), MEASURES),
    "evaluation": {"id": "g1-1", "origin": "random", "parents": [], "genome": NUMBERS, "seed": 1}
    | {"status": "ok", "fitness": 2.5, "last_loss": 2.5, "val_loss": 2.5, "samples": ["anna"]}
    | {"flops": 10, "seconds": 0.1, "cpu_seconds": 0.1},
    "sweep": {"sweep": "grid", "points": [{"steps": 30}], "seeds": [1], "input": "a"}
    | {"data_sha256": "a"},
    "result": {"point": {"steps": 30}, "seed": 1, "status": "ok", "n_params": 10, "flops": 10}
    | {"val_loss": 2.5, "last_loss": 2.5, "train_loss": 2.5, "samples": ["anna"]},
}


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value inside another."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in inside:
        yield (*place, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*place, key))


def mutated(facts: Any, rng: random.Random) -> bytes:
    """Return JSON with a value that is another, gone or under an odd key; or torn, or no JSON."""
    facts = copy.deepcopy(facts)
    *way, last = rng.choice([*places(facts)])
    where = facts
    for key in way:
        where = where[key]
    change = rng.random()
    if change < 0.6:
        where[last] = rng.choice(VALUES)
    elif change < 0.7:
        del where[last]
    elif isinstance(where, dict):
        where[rng.choice(["", ODD, "k" * 10**6])] = rng.choice(VALUES)
    content = json.dumps(facts, ensure_ascii=rng.random() < 0.8).encode(errors="surrogatepass")
    damage = rng.random()
    if damage < 0.1:
        return content[: rng.randrange(len(content))]
    if damage < 0.15:
        return content.replace(b": ", b": " + rng.choice([b"[" * 10**5, b"1e400,", b"\xff"]), 1)
    return content


READERS: dict[str, Callable[[Path], object]] = {
    "genome.json": lambda folder: read_genome(folder / "genome.json"),
    "run.json": read_settings,
    "exam.json": read_retest,
    "evaluation": lambda folder: EvaluationRecord.parse(
        (folder / "evaluation").read_bytes(), "line 1", SETTINGS
    ),
    "sweep": lambda folder: SweepSettings.parse(read_settings(folder), folder),
    "result": lambda folder: SweepResult.parse((folder / "result").read_bytes(), "line 1"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_read_or_gives_a_one_line_error(tmp_path: Path, name: str) -> None:
    rng = random.Random(20)
    refusals = []
    for _ in range(50):
        content = mutated(FILES[name], rng)
        if name == "sweep":
            content = json.dumps(FILES["run.json"]).encode().replace(b'{"seed": 1}', content)
        (tmp_path / ("run.json" if name == "sweep" else name)).write_bytes(content)
        try:
            READERS[name](tmp_path)
        except MicrogptError as error:
            refusals.append(str(error))
    assert all(refusal.isprintable() and len(refusal) < 1000 for refusal in refusals)
    assert 10 < len(refusals) < 50
