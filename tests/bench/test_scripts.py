"""Tests that each script in bench/ completes a short run, and that the docs show its results."""

import json
import random
import re
import shutil
import sys
from pathlib import Path

import c_programs
import commands
import compare
import fuzz
import harness
import pytest
import report
from fuzz_parsers import PARSERS
from harness import machine

ROOT = Path(__file__).resolve().parents[2]


def small(*words: str) -> str:
    """Return code that adds `words` and options of a small model to a script's `train` commands."""
    options = ("--n-embd", "8", "--n-head", "2", "--n-layer", "1", *words)
    more = f"*({options} if words[0] == 'train' else ())"
    return f"run = bench.command; bench.command = lambda *words: run(*words, {more})"


# The options of a short run of each script, and code that patches the script to shorten the run.
# The patches also skip the programs with which a script compares microgpt.
SHORTEST = {
    "all": ("", "bench.TRAINING = bench.TIMING = ()"),
    "c_file": ("--rounds 1", "bench.N_HELD_OUT = 4; bench.STEPS = 5; bench.N_TOKENS = 300"),
    "characters": (
        "--only bundled",
        "bench.QUESTIONS['foreign'] = []; bench.QUESTIONS['talks'] = bench.QUESTIONS['talks'][:1]",
    ),
    "chat_quality": (
        "--seeds 1",
        small("--steps", "2", "--data", str(ROOT / "data/chat.jsonl")),
    ),
    "compare": ("--steps 5 --controls 2 --rounds 1", ""),
    "decode_speed": (
        "--rounds 1",
        "bench.RIVALS = (); bench.DECODING = [(*bench.DECODING[0][:4], 10)]",
    ),
    "elsewhere": ("--rounds 1", "bench.N_HELD_OUT = 4; bench.CHAT_STEPS = 1"),
    "few_questions": ("--only library", small()),
    "ladder": ("--only names --seeds 1", "bench.BUDGET = 5e9"),
    "makers": (
        "data",
        "bench.FILES = ('names.txt',); bench.MINUTES = 0.1; bench.ORDERS = (2,); "
        "bench.markov_samples = lambda docs: docs[:2]",
    ),
    "mutation": ("--n 0", ""),
    "quality": (
        "--seeds 1",
        f"bench.NAMES = ('names-10s',); bench.TEXTS = ('text-60s',); {small('--steps', '8')}",
    ),
    "report": ("", ""),
    "research": (
        "--nulls 2",
        "bench.N_SIZE = 2; bench.OPERATIONS = 1e7; bench.CHANGES = bench.CHANGES[:1]",
    ),
    "search_fight": (
        "--searches 2",
        "bench.SEARCHES.pop('optuna'); "
        "losses = [[2 + i % 97 / 97] * 9 for i in range(1023)] + [[]]; "
        "bench.read_table = lambda: {'names': {'1': losses, '2': losses}}",
    ),
    "serve_hostile": (
        "--seconds 0.5 --attackers 2 --rate 10",
        "kinds = ('many fields', 'long texts, departing', 'endless subwords', 'long prompts'); "
        "every = bench.attacks; bench.attacks = lambda: {kind: every()[kind] for kind in kinds}",
    ),
    "serve_load": ("--rounds 1 --seconds 0.3 --connections 2", ""),
    "serve_mixed": ("--minutes 0.1 --connections 2", "bench.SERVICES = 2"),
    "startup": (
        "--rounds 1",
        "from microgpt_engine.kernel_cache import cache_directory; timed = bench.seconds; "
        "bench.seconds = lambda name, folder, _: timed(name, folder, str(cache_directory())); "
        "bench.FIRST_ROUNDS = 1; bench.COMMANDS = "
        "{name: bench.COMMANDS[name] for name in (bench.BASELINE, bench.FIRST, bench.SERVICE)}",
    ),
    "train_speed": ("--rounds 1", "bench.RIVALS = (); bench.SETTINGS = bench.SETTINGS[:1]"),
}
# Code that runs a script's commands in its own process, because starting Python is slow.
IN_PROCESS = f"""
import subprocess, sys, threading
sys.path[:0] = ["bench", {str(ROOT / "tests")!r}]
import commands
start = subprocess.run
def run(command, *, check=False, cwd=".", **options):
    is_main = threading.current_thread() is threading.main_thread()
    if command[1:3] != ["-m", "microgpt_cli"] or not is_main:
        return start(command, check=check, cwd=cwd, **options)
    return commands.run(*command[3:], cwd=cwd, check=check)
subprocess.run = run
"""
PARTS = {"c_programs", "contenders", "harness", "mutants", "serving", "torch_gpt"}
PARTS |= {"fuzz", "fuzz_parsers"}
SCRIPTS = {path.stem for path in (ROOT / "bench").glob("*.py")}
DOCS = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "libs").rglob("*.py")]
DOCS.remove(ROOT / "docs" / "removed.md")
PAGES = sorted(page.relative_to(ROOT) for page in DOCS if "bench/" in page.read_text("utf-8"))
# Paths of scripts; a path with a commit is not matched, because it names a deleted script.
CITED = re.compile(r"bench/[\w/]+\.\w+\b(?!,? (?:removed after commit|at|at commit) [0-9a-f]{8})")


def test_every_bench_file_is_a_tested_script_or_a_known_part() -> None:
    assert SHORTEST.keys() | PARTS == SCRIPTS


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_benchmark_script_cited_in_the_docs_exists(page: Path) -> None:
    for cited in CITED.findall((ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / cited).exists(), cited


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORTEST)
def test_every_benchmark_script_completes_a_short_run(name: str, tmp_path: Path) -> None:
    for folder in ("bench", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for folder in ("data", "examples"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    options, patch = SHORTEST[name]
    script = f"{IN_PROCESS}\nimport {name} as bench"
    command = [sys.executable, "-c", f"{script}; {patch}\nbench.main()", *options.split()]
    done = commands.run_process(command, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("loss", "speed", "expected"),
    [(2.4, "12.5 steps/s", 0.08), (2.4, "Average step: 80.0 us", 8e-5), (3.3, "1 steps/s", None)],
)
def test_a_c_program_is_timed_only_if_it_learns(loss, speed, expected, tmp_path) -> None:
    program = tmp_path / "train"
    program.write_text(f"#!/bin/sh\necho 'step 1000 | loss {loss}'; echo '{speed}'\n")
    program.chmod(0o755)
    if expected:
        assert c_programs.seconds_per_step(program) == pytest.approx(expected)
    else:
        with pytest.raises(SystemExit, match=f"does not learn.*{loss}"):
            c_programs.seconds_per_step(program)


N_INPUTS = 40


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_parsers_do_not_crash_on_randomly_damaged_files(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fuzz, "KEPT", tmp_path)
    seeds, parse = PARSERS[name](tmp_path / "files")
    for seed in seeds:
        parse(seed)
    attack, rng = fuzz.Attack(name, parse), random.Random(1)
    for _ in range(N_INPUTS):
        seed = rng.choice(seeds)
        attack.attempt(fuzz.changed_json(seed, rng) or seed[: rng.randrange(len(seed))])
    assert not attack.kinds


def test_the_docs_show_the_stored_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = list(report.PAGES)
    copies = [Path(shutil.copy(page, tmp_path)) for page in pages]
    monkeypatch.setattr(report, "PAGES", copies)
    report.main()
    differing = [
        a.name for a, b in zip(pages, copies, strict=True) if a.read_text() != b.read_text()
    ]
    assert differing == [], "run `uv run python bench/report.py`"


def test_every_stored_result_has_a_script_that_reads_it() -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "bench").glob("*.py"))
    for path in (ROOT / "bench" / "results").iterdir():
        script = ROOT / "bench" / f"{path.stem}.py"
        tables = script.exists() and re.search(r"^TABLES = ", script.read_text("utf-8"), re.M)
        assert tables or path.name in code or f'"{path.stem}"' in code, path.name


@pytest.mark.parametrize(
    "page",
    ["docs/measurements/comparison.md", "docs/decisions/engines.md"],
)
def test_the_docs_state_the_measured_number_of_graph_nodes(page: str) -> None:
    assert f" {compare.nodes_per_step():,.0f} " in (ROOT / page).read_text(encoding="utf-8")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the results of an earlier run of a benchmark script."""
    file = tmp_path / "speed.json"
    file.write_text('{"names": 1}')
    monkeypatch.setattr(harness, "results_file", lambda bench: tmp_path / f"{bench}.json")
    return file


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict:
    monkeypatch.setattr(sys, "argv", ["speed.py", *arguments])
    options = harness.parsed("Measure.", rounds=5, seconds=2.0, only="", quiet=False)
    return harness.store("speed", {"names": 2}, options)


@pytest.mark.parametrize(
    ("options", "is_stored"),
    [
        ("", True),
        ("--rounds 6 --quiet", True),
        ("--rounds 4", False),
        ("--seconds 1.5 --rounds 9", False),
    ],
)
def test_only_full_runs_are_stored_and_dated(kept, monkeypatch, capsys, options, is_stored) -> None:
    found = run(monkeypatch, *options.split())
    assert found["names"] == 2
    if is_stored:
        assert found["machine"] == machine()
        assert {"date", "commit"} <= found.keys()
    assert json.loads(kept.read_text()) == (found if is_stored else {"names": 1})
    assert ("not stored" in capsys.readouterr().err) != is_stored
