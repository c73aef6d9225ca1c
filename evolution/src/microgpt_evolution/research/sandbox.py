"""Run experiment.py in a process that has the training documents, and nothing else.

The judge starts this file by its path. A line of JSON brings the documents and the time limit, and
each further line a training run: a fork in an empty directory, where the experiment saves its
model. `_guard` stops mistakes and simple tricks, not an attacker (docs/reference/searches.md).
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from microgpt import (
    ConfigError,
    SavedModel,
    TrainConfig,
    TrainedModel,
    TrainResult,
    bundled,
    description_of,
    prepare_engine,
    save,
    train,
)

PROBLEM, MODEL = "problem", "model"  # files of a run
N_BYTES = 1000  # maximum length of a problem
REFUSED = (  # beginnings of the names of audit events
    *("subprocess.", "socket.", "gc.", "pty.", "os.exec", "os.fork", "os.kill", "os.posix_"),
    *("os.spawn", "os.system", "os.link", "os.symlink", "os.chdir", "os.fchdir"),
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SYSTEM = ("/proc/", "/dev/", "/sys/")  # an experiment may read the files that training reads


class Library(ModuleType):
    """A module whose functions and classes an experiment may not replace."""

    def __setattr__(self, name: str, value: object) -> None:
        if not isinstance(value, ModuleType):  # an import sets these
            rule = "change what experiment.py itself defines"
            raise ConfigError(f"{self.__name__}.{name} may not be replaced; {rule}")
        super().__setattr__(name, value)


def main() -> None:
    """Train what the lines of standard input ask for."""
    facts = json.loads(sys.stdin.readline())
    docs, opened = facts["docs"], set[str]()
    sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)
    # A run finds this in memory, and may read what else is in these directories.
    prepare_engine(None, uses=["training", "generation"])
    save(train(docs[:1], config=TrainConfig(steps=1)), MODEL)
    places = {path if path.startswith(SYSTEM) else os.path.dirname(path) for path in opened}
    for line in sys.stdin:
        request = json.loads(line)
        if not (pid := os.fork()):
            signal.setitimer(signal.ITIMER_REAL, facts["seconds"])  # the signal ends the process
            _run(docs, request, places)
        _, status, usage = os.wait4(pid, 0)
        file = Path(request["directory"], PROBLEM)
        problem = file.read_bytes()[:N_BYTES].decode(errors="replace") if file.exists() else ""
        if os.WIFSIGNALED(status):
            limit = f"{facts['seconds']:g} seconds"
            problem = f"it was still running after {limit}, or had too little memory"
        answer = {"seconds": usage.ru_utime + usage.ru_stime, "problem": problem}
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


def _run(docs: list[str], request: dict[str, Any], places: set[str]) -> None:
    """Run the experiment with a seed, save its model or its problem, and end the process."""
    os.chdir(request["directory"])
    problem = os.open(PROBLEM, os.O_WRONLY | os.O_CREAT)
    for stream in range(3):  # close what leads to the judge
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    module = sys.modules["experiment"] = ModuleType("experiment")
    for name, loaded in sys.modules.items():
        if name.partition(".")[0] == "microgpt":
            loaded.__class__ = Library
    sys.addaudithook(_guard(os.getcwd(), places, problem))
    try:
        exec(compile(request["code"], "experiment.py", "exec"), vars(module))
        _save(module.experiment(docs, request["seed"], request["operations"]))
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f"line {each.lineno}: " for each in frames if each.filename == "experiment.py"]
        text = f"{''.join(lines[-1:])}{type(error).__name__}: {error}"
        os.write(problem, text.encode(errors="replace"))
    os._exit(0)


def _save(found: object) -> None:
    if not isinstance(found, TrainedModel):
        problem = "experiment must return what `train` returns, or a TrainedModel"
        raise ConfigError(f"{problem}, not {type(found).__name__}")
    if not isinstance(found, TrainResult | SavedModel):  # it has its own training loop
        parts = found.model, found.weights, found.tokenizer, found.dtype
        found = SavedModel(*parts, description_of(found))
    save(found, MODEL)


def _guard(own: str, places: set[str], problem: int) -> Callable[[str, tuple[Any, ...]], None]:
    """Return an audit hook that ends the process before it leaves its directory."""
    python = *sys.path, sys.prefix, sys.base_prefix
    readable = [os.path.abspath(path) for path in {*places, *python} - {""}]
    data = str(bundled("names.txt").parent)  # held-out documents may be among its files
    abspath, write, leave = os.path.abspath, os.write, os._exit  # an experiment may replace them

    def is_in(path: str, *folders: str) -> bool:
        return any(path == each or path.startswith(f"{each}/") for each in folders)

    def guard(event: str, args: tuple[Any, ...]) -> None:
        problems = [f"called {event}"] if event.startswith(REFUSED) else []
        if event == "import" and args[0].startswith("microgpt_evolution"):
            problems.append("imported the judge")
        is_read = event == "open" and not (args[2] or 0) & WRITES
        if event.startswith(("open", "os.")) and event not in ("os.listdir", "os.scandir"):
            for path in (abspath(os.fsdecode(p)) for p in args if isinstance(p, str | bytes)):
                is_allowed = is_read and is_in(path, *readable) and not is_in(path, data)
                if not is_allowed and not is_in(path, own):
                    problems.append(f"opened {path}")
        if problems:
            rule = "an experiment may use its own directory and the documents that it is given"
            write(problem, f"it {problems[0]}; {rule}".encode())
            leave(1)

    return guard


if __name__ == "__main__":
    main()
