"""Run experiment.py in a process that has the training documents, and nothing else.

The judge starts this file by its path. Each line of standard input asks for a training run: a fork
in an empty directory, where the experiment saves its model. `_guard` stops mistakes and simple
tricks, not an attacker (docs/reference/searches.md).
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from tempfile import TemporaryFile
from types import ModuleType
from typing import Any

from microgpt import ConfigError, TrainConfig, TrainedModel, bundled, prepare_engine, save, train

MODEL, N_BYTES = "model", 1000  # directory of a model, and the maximum length of a problem
# Audit events whose paths are checked, those that are allowed, and beginnings of refused ones.
CHECKED = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir")
ALLOWED = ("os.listdir", "os.scandir")
REFUSED = ("gc.", "os.", "pty.", "socket.", "subprocess.")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SYSTEM = ("/proc/", "/dev/", "/sys/")  # an experiment may read the files that training reads


class Library(ModuleType):
    """A module whose functions and classes an experiment may not replace."""

    def __setattr__(self, name: str, value: object) -> None:
        if not isinstance(value, ModuleType):  # an import sets these
            raise ConfigError(f"{self.__name__}.{name} may not be replaced; change experiment.py")
        super().__setattr__(name, value)


def main() -> None:
    """Train what the lines of standard input ask for."""
    opened = set[str]()
    sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)
    # A run finds this in memory, and may read what else is in these directories.
    prepare_engine(None, uses=["training", "generation"])
    save(train(["a"], config=TrainConfig(steps=1)), MODEL)
    places = {path if path.startswith(SYSTEM) else os.path.dirname(path) for path in opened}
    for line in sys.stdin:
        request = json.loads(line)
        with TemporaryFile() as file:
            if not (pid := os.fork()):
                signal.setitimer(signal.ITIMER_REAL, request["seconds"])  # its signal ends the fork
                _run(request, places, file.fileno())
            _, status, usage = os.wait4(pid, 0)
            problem = os.pread(file.fileno(), N_BYTES, 0).decode(errors="replace")
        if os.WIFSIGNALED(status):
            limit = f"{request['seconds']:g} seconds"
            problem = f"it was still running after {limit}, or had too little memory"
        answer = {"seconds": usage.ru_utime + usage.ru_stime, "problem": problem}
        os.write(1, f"{json.dumps(answer)}\n".encode())


def _run(request: dict[str, Any], places: Iterable[str], file: int) -> None:
    """Run the experiment with a seed, save its model or write its problem, and end the process."""
    os.chdir(request["directory"])
    for stream in range(3):  # close what leads to the judge
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    module = sys.modules["experiment"] = ModuleType("experiment")
    for name, loaded in sys.modules.items():
        if name.partition(".")[0] == "microgpt":
            loaded.__class__ = Library
    sys.addaudithook(_guard(places, file))
    try:
        exec(compile(request["code"], "experiment.py", "exec"), vars(module))
        found = module.experiment(request["docs"], request["seed"], request["operations"])
        if not isinstance(found, TrainedModel):
            raise ConfigError(f"experiment must return a TrainedModel, not {type(found).__name__}")
        save(found, MODEL)
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f"line {each.lineno}: " for each in frames if each.filename == "experiment.py"]
        text = f"{''.join(lines[-1:])}{type(error).__name__}: {error}"
        os.write(file, text.encode(errors="replace"))
    os._exit(0)


def _guard(places: Iterable[str], file: int) -> Callable[[str, tuple[Any, ...]], None]:
    """Return an audit hook that ends the process before it leaves its directory."""
    abspath, write, leave = os.path.abspath, os.write, os._exit  # an experiment may replace them
    own, data = f"{os.getcwd()}/", f"{bundled('names.txt').parent}/"  # data may be held out
    readable = tuple(f"{abspath(p)}/" for p in (*places, *sys.path, sys.prefix, sys.base_prefix))

    def guard(event: str, args: tuple[Any, ...]) -> None:
        problem = ""
        if event == "import" and args[0].startswith("microgpt_evolution"):
            problem = "imported the judge"
        elif event in CHECKED:
            is_read = event == "open" and not (args[2] or 0) & WRITES
            for path in (f"{abspath(os.fsdecode(p))}/" for p in args if isinstance(p, str | bytes)):
                is_known = path.startswith(readable) and not path.startswith(data)
                if not path.startswith(own) and not (is_read and is_known):
                    problem = f"opened {path[:-1]}"
        elif event.startswith(REFUSED) and event not in ALLOWED:
            problem = f"called {event}"
        if problem:
            rule = "an experiment may use its own directory and the documents that it is given"
            write(file, f"it {problem}; {rule}".encode())
            leave(1)

    return guard


if __name__ == "__main__":
    main()
