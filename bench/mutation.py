"""Measure how many small faults in the code the tests detect.

    uv run --group dev python bench/mutation.py

Mutants are drawn from the lines of the library, the searches and the service. Each is judged in a
clone of this repository: first by the test files that are named after its module or import it, then
by those of the same folder, then by all other quick tests. Verdicts are
recorded in bench/results/mutation.json, so that an interrupted run can be continued, and counted
at the end (docs/measurements/faults.md). Takes hours on two cores.
"""

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue

from harness import ROOT, parsed, results_file
from mutants import Mutant, draw

FOLDERS = {  # folder of the tests in tests/, by folder of code
    "libs/microgpt/src/microgpt": "lib",
    "evolution/src/microgpt_evolution": "evolution",
    "apis/microgpt_serve/src/microgpt_serve": "serve",
}
# ACCEPT is appended to HASHES, so that the compiled engine of a clone accepts changed sources.
HASHES = "libs/microgpt/src/microgpt/edited_sources.py"
ACCEPT = "\n\ndef file_hashes() -> dict[str, str]:\n    return IMPLEMENTED\n"
# Tests that are not run: many compare the text of sources, and would fail with any mutant.
TEXT = re.compile(r"tests/(docs|bench|e2e)/|test_edited_sources|browser")
WORK = ROOT / "build/mutation"
RECORD = results_file("mutation")
SECONDS, SECONDS_PER_FILE = 60, 4  # processor-time limit: a constant, plus a time per test file


def main() -> None:
    options = parsed(__doc__, n=100, seed=83, workers=2)
    verdicts = json.loads(RECORD.read_text()) if RECORD.exists() else []
    known = {(each["path"], each["line"], each["kind"]) for each in verdicts}
    drawn = draw(ROOT, tuple(FOLDERS), options.n, options.seed)
    todo = [each for each in drawn if (each.path, each.line, each.kind) not in known]
    trees: SimpleQueue[Path] = SimpleQueue()
    for number in range(min(options.workers, len(todo))):
        trees.put(clone(WORK / f"tree-{number}"))
    paths = [str(each.relative_to(ROOT)) for each in sorted((ROOT / "tests").rglob("test_*.py"))]
    files = {path: (ROOT / path).read_text() for path in paths if not TEXT.search(path)}

    def judge(mutant: Mutant) -> dict[str, str]:
        tree = trees.get()
        try:
            return judged(mutant, tree, judges(mutant, files))
        finally:
            trees.put(tree)

    with ThreadPoolExecutor(options.workers) as pool:
        for mutant, verdict in zip(todo, pool.map(judge, todo), strict=True):
            print(f"{verdict}: {mutant.path}:{mutant.line} {mutant.kind}", flush=True)
            verdicts.append({**asdict(mutant), **verdict})
            RECORD.write_text(json.dumps(verdicts, indent=0) + "\n")
    print(table(verdicts))


def clone(tree: Path) -> Path:
    """Clone the last commit, and make its compiled engine accept changed sources."""
    if not tree.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, tree], check=True)
    subprocess.run(["git", "checkout", "--quiet", "."], cwd=tree, check=True)
    with (tree / HASHES).open("a") as file:
        file.write(ACCEPT)
    return tree


def judged(mutant: Mutant, tree: Path, tests: Iterator[list[str]]) -> dict[str, str]:
    """Return the verdict on a mutant in a clone, and the test that noticed it."""
    path = tree / mutant.path
    source = path.read_bytes()
    path.write_bytes(mutant.changed(source))
    n_tests = 0
    try:
        for some in tests:
            n_tests += len(some)
            if failed := failure(tree, some):
                return {"verdict": "timeout" if failed == "timeout" else "killed", "by": failed}
        return {"verdict": "survived" if n_tests else "not run", "by": f"{n_tests} passed"}
    finally:
        path.write_bytes(source)


def failure(tree: Path, tests: list[str]) -> str:
    """Return the failing test, or another reason such as "timeout"; "" if all tests pass."""
    if not tests:
        return ""
    packages = [*tree.glob("*/*/src"), tree / "evolution/src"]  # shadow the installed packages
    # Cached bytecode could hide a mutant that changes neither the time nor the size of the source.
    more = {"PYTHONPATH": ":".join(map(str, packages)), "PYTHONDONTWRITEBYTECODE": "1"}
    options = ["-x", "-q", "-n0", "-knot edited", "-pno:cacheprovider", "--tb=line", "-rfE"]
    seconds = SECONDS + SECONDS_PER_FILE * len(tests)
    command = [sys.executable, "-m", "pytest", *options, f"--rootdir={tree}", *tests]
    process = subprocess.Popen(
        ["nice", "-n", "5", *command], cwd=tree, env=os.environ | more, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds)),
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=5 * seconds)
    except subprocess.TimeoutExpired:
        return "timeout"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode in (0, 5):  # all pass, or none is selected because all are slow
        return ""
    if process.returncode == -signal.SIGXCPU:
        return "timeout"
    if process.returncode == 4 and "conftest" not in output:
        raise ValueError(f"pytest cannot run {tests}: {output}")
    if process.returncode < 0 or "Fatal Python error" in output:
        return f"signal {-process.returncode}"
    found = re.search(r"^(?:FAILED|ERROR) (.*)", output, re.MULTILINE)
    return found[1][:200] if found else output[-200:]


def judges(mutant: Mutant, files: dict[str, str]) -> Iterator[list[str]]:
    """Yield lists of test files that can notice a mutant, the most likely ones first."""
    folder = next(each for each in FOLDERS if mutant.path.startswith(each))
    module, tests = Path(mutant.path).relative_to(folder).with_suffix(""), FOLDERS[folder]
    beside = f"tests/{tests}/{module.parent}/".replace("/./", "/")
    if not any(path.startswith(beside) for path in files):
        beside = f"tests/{tests}/"
    own = f"{beside}test_{module.name}.py"
    name = f"{Path(folder).name}.{'.'.join(module.parts)}".removesuffix(".__init__")
    parent, _, last = name.rpartition(".")
    used = re.compile(rf"\b{name}\b|from {parent} import .*\b{last}\b")

    def place(path: str) -> tuple[bool, bool, int]:
        return path != own, not path.startswith(beside), len(files[path])

    named = [path for path, code in files.items() if path == own or used.search(code)]
    first = sorted(named, key=place)[:4]
    yield first
    others = sorted(set(files) - set(first), key=place)
    n_beside = sum(path.startswith(beside) for path in others)
    yield others[:n_beside]
    yield others[n_beside:]


def table(verdicts: list[dict[str, str]]) -> str:
    """Return the number of mutants with each verdict in one sentence."""
    counts = Counter(each["verdict"] for each in verdicts)
    found = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common())
    return f"Verdicts on {counts.total()} mutants: {found}."


TABLES = {"mutation": table}

if __name__ == "__main__":
    main()
