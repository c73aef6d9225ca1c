"""Measure how many small faults in the code the tests notice.

    uv run --group dev python bench/mutation.py

Mutants are drawn from the lines of the library, the searches and the service. Each is judged in a
clone of this repository: first by the test files that are named after its module or import it, then
by those in the same folder, each time until they have used a minute of processor time. The record
is bench/results/mutation.jsonl, and an interrupted run continues. A mutant in a kernel is judged by
the tests of the compiled engine, after it has been compiled. The verdicts are printed at the end
(docs/measurements/faults.md).
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
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from harness import RESULTS, ROOT, parsed
from mutants import Mutant, changed, draw

from microgpt import edited_sources

FOLDERS = {  # and their tests
    "libs/microgpt/src/microgpt": "lib",
    "evolution/src/microgpt_evolution": "evolution",
    "apis/microgpt_serve/src/microgpt_serve": "serve",
}
CODE = "libs/microgpt_engine/src/microgpt_engine/machine_code.py"
HASH = "libs/microgpt/src/microgpt/edited_sources.py"
# Tests that compare the text of sources, and would notice any change.
TEXT = re.compile(r"tests/(docs|bench|e2e)/|test_edited_sources|test_layouts|test_amounts")
WORK = ROOT / "build/mutation"
RECORD = RESULTS / "mutation.jsonl"
SECONDS = 60  # of processor time for the tests of a mutant
COMPILE_SECONDS = 600  # for a changed kernel, more


class Tree:
    """A clone of the repository whose sources are mutated one at a time."""

    def __init__(self, number: int) -> None:
        self.root = WORK / f"tree-{number}"
        if not self.root.exists():
            subprocess.run(["git", "clone", "--quiet", ROOT, self.root], check=True)
        subprocess.run(["git", "checkout", "--quiet", "."], cwd=self.root, check=True)
        self.home, self.clock = WORK / "home", 0

    def judge(self, mutant: Mutant, tests: Iterable[list[str]]) -> dict[str, str]:
        """Return the verdict on a mutant, and the test that noticed it."""
        path = self.root / mutant.path
        kept = {each: each.read_bytes() for each in (path, self.root / HASH, self.root / CODE)}
        try:
            self._write(path, changed(kept[path], mutant))
            if not mutant.is_kernel:
                self._keep_kernels(mutant.path)
            self._accept_sources()
            n_tests = 0
            for some in tests:
                n_tests += len(some)
                if failed := self.failure(some, COMPILE_SECONDS if mutant.is_kernel else SECONDS):
                    verdict = "timeout" if failed == "timeout" else "killed"
                    return {"verdict": verdict, "by": failed}
            return {"verdict": "survived" if n_tests else "not run", "by": f"{n_tests} passed"}
        finally:
            for each, content in kept.items():
                self._write(each, content)

    @property
    def packages(self) -> str:
        """Where the packages of the clone are, before the installed ones."""
        return ":".join(map(str, [*self.root.glob("*/*/src"), self.root / "evolution/src"]))

    def _write(self, path: Path, content: bytes) -> None:
        """Write a source with a time of its own, because bytecode is found by time and size."""
        path.write_bytes(content)
        self.clock += 1
        os.utime(path, (self.clock + 10**9, self.clock + 10**9))

    def _keep_kernels(self, path: str) -> None:
        """Use the kernels of the sources without the mutant, which is not in a kernel."""
        files = {str(self.root / each): str(ROOT / each) for each in (path, CODE)}
        old, new = (
            "file.read_bytes().replace",
            f"Path({files}.get(str(file), file)).read_bytes().replace",
        )
        self._write(self.root / CODE, (self.root / CODE).read_text().replace(old, new).encode())

    def _accept_sources(self) -> None:
        """Have the compiled engine accept a change of the sources that it implements."""
        edited_sources.FOLDER, code = (self.root / HASH).parent, (self.root / HASH).read_text()
        for name, found in edited_sources.file_hashes().items():
            code = code.replace(edited_sources.IMPLEMENTED[name], found)
        self._write(self.root / HASH, code.encode())

    def failure(self, tests: list[str], seconds: int) -> str:
        """Return the test that fails, the reason why none can run, or nothing if all pass."""
        if not tests:
            return ""
        more = {"PYTHONPATH": self.packages, "XDG_CACHE_HOME": str(self.home)}
        options = [
            "-x",
            "-q",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "--tb=line",
            "--no-header",
            "-rfE",
        ]
        command = [sys.executable, "-m", "pytest", *options, f"--rootdir={self.root}", *tests]
        process = subprocess.Popen(
            ["nice", "-n", "5", *command], cwd=self.root, env=os.environ | more, text=True,
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
        if process.returncode in (0, 5):  # all pass, or all are marked slow
            return ""
        if process.returncode == -signal.SIGXCPU:
            return "timeout"
        if process.returncode == 4 and "conftest" not in output:
            raise ValueError(f"pytest cannot run {tests}: {output}")
        if process.returncode < 0 or "Fatal Python error" in output:
            return f"signal {-process.returncode}"
        found = re.findall(r"^(?:FAILED|ERROR) (\S+)(?: - (.*))?", output, re.MULTILINE)
        return " ".join(filter(None, found[0]))[:200] if found else output[-200:]


class Tests:
    """The test files that can notice a mutant, by their names, folders and imports."""

    def __init__(self) -> None:
        files = (ROOT / "tests").rglob("test_*.py")
        self.files = {str(each.relative_to(ROOT)): each.read_text() for each in sorted(files)}

    def tests_of(self, mutant: Mutant) -> Iterable[list[str]]:
        """Yield lists of tests, those most likely to notice the mutant first."""
        if mutant.is_kernel:
            yield ["tests/engine/kernels", "tests/engine/simd"]
            yield ["tests/engine"]
            return
        named = self.named(mutant)[:4]
        yield named
        yield [file for file in self.beside(mutant) if file not in named][:20]

    def beside(self, mutant: Mutant) -> list[str]:
        """Return the test files in the folder that mirrors the module's, the smallest first."""
        folder = next(each for each in FOLDERS if mutant.path.startswith(each))
        place = Path(mutant.path).parent.relative_to(folder)
        start = f"tests/{FOLDERS[folder]}/{place}/".replace("/./", "/")
        if FOLDERS[folder] == "serve":
            start = "tests/serve/"
        found = [file for file in self.files if file.startswith(start) and not TEXT.search(file)]
        found = [file for file in found if "browser" not in file]
        return sorted(found, key=lambda file: ("/routes/" not in file, len(self.files[file])))

    def named(self, mutant: Mutant) -> list[str]:
        """Return the test files that are named after a module or import it, that first."""
        folder = next(each for each in FOLDERS if mutant.path.startswith(each))
        module = mutant.path.removeprefix(f"{folder}/").removesuffix(".py")
        own = f"tests/{FOLDERS[folder]}/{Path(module).parent / f'test_{Path(module).name}.py'}"
        name = f"{Path(folder).name}.{module.replace('/', '.')}".removesuffix(".__init__")
        parent, _, last = name.rpartition(".")
        used = re.compile(rf"\b{name}\b|from {parent} import .*\b{last}\b")
        found = [file for file, code in self.files.items() if used.search(code) and file != own]
        found.sort(key=lambda file: (Path(file).parent != Path(own).parent, len(self.files[file])))
        named = [str(Path(own))] * (str(Path(own)) in self.files) + found
        return [file for file in named if not TEXT.search(file)]


def verdicts() -> dict[tuple[str, str, str], dict[str, str]]:
    """Return the verdicts so far: the last on each mutant, unless a test has noticed it."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for line in RECORD.read_text().splitlines() if RECORD.exists() else []:
        row = json.loads(line)
        key = row["path"], row["line"], row["kind"]
        if found.get(key, {}).get("verdict") != "killed":
            found[key] = row
    return found


def main() -> None:
    options = parsed(__doc__, n=300, seed=61, workers=2, again="")
    known = verdicts()
    drawn = draw(ROOT, tuple(FOLDERS), options.n, options.seed)
    todo = [
        each for each in drawn
        if known.get((each.path, each.line, each.kind), {}).get("verdict", "")
        in ("", *options.again.split(","))
    ]  # fmt: skip
    todo.sort(key=lambda one: (one.is_kernel, (one.path, one.line, one.kind) in known))
    trees: SimpleQueue[Tree] = SimpleQueue()
    for number in range(min(options.workers, len(todo))):
        trees.put(Tree(number))
    tests = Tests()
    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(lambda mutant: judge(mutant, trees, tests.tests_of), todo))
    print(table())


def judge(
    mutant: Mutant, trees: "SimpleQueue[Tree]", tests: Callable[[Mutant], Iterable[list[str]]]
) -> None:
    """Judge a mutant in a free tree, and record the verdict."""
    tree = trees.get()
    try:
        verdict = tree.judge(mutant, tests(mutant))
    finally:
        trees.put(tree)
    facts = ("path", "line", "kind", "before", "after", "function", "is_kernel")
    row = {**{name: getattr(mutant, name) for name in facts}, **verdict}
    print(f"{row['verdict']}: {mutant.path}:{mutant.line} {mutant.kind}, {row['by']}", flush=True)
    with RECORD.open("a") as file:
        file.write(json.dumps(row) + "\n")


def table() -> str:
    """Return the number of mutants of each verdict in one sentence."""
    counts = Counter(each["verdict"] for each in verdicts().values())
    found = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common())
    return f"Verdicts on {counts.total()} mutants: {found}."


TABLES = {"mutation": table}

if __name__ == "__main__":
    main()
