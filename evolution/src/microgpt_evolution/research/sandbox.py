"""Train an experiment in a process that has the training documents, and nothing else.

The judge starts this file by its path, in an empty directory, where the experiment saves its model.
`guard` stops mistakes and simple tricks, not an attacker (docs/reference/searches.md).
"""

import json
import os
import sys
from contextlib import redirect_stderr
from functools import partial
from types import ModuleType
from typing import Any

from microgpt import ConfigError, TrainConfig, TrainedModel, bundled, prepare_engine, save, train

MODEL = "model"  # directory of the model
# Audit events whose paths are checked, those that are allowed, and beginnings of refused ones.
CHECKED = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir")
ALLOWED = (*CHECKED, "os.listdir", "os.scandir")
REFUSED = ("gc.", "os.", "pty.", "socket.", "subprocess.")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DATA = f"{bundled('names.txt').parent}/"  # may be held out
RULE = "an experiment may use its own directory and the documents that it is given"


def main() -> None:
    """Train the program in standard input, and save its model."""
    request, opened = json.load(sys.stdin), set[str]()
    sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)
    # The experiment finds the kernels in memory, and may read the files that this reads.
    prepare_engine(None, uses=["training", "evaluation", "generation"])
    save(train(["a"], config=TrainConfig(steps=1)), "warm_up")
    places = (*opened, *sys.path, sys.prefix, sys.base_prefix)
    readable = tuple(f"{os.path.abspath(place)}/" for place in places)
    module = sys.modules["experiment"] = ModuleType("experiment")
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        sys.addaudithook(partial(guard, readable))
        exec(compile(request["code"], "experiment.py", "exec"), vars(module))
        found = module.experiment(request["docs"], request["seed"], request["operations"])
    if not isinstance(found, TrainedModel):
        raise ConfigError(f"experiment must return a TrainedModel, not {type(found).__name__}")
    save(found, MODEL)


def guard(readable: tuple[str, ...], event: str, args: tuple[Any, ...]) -> None:
    """End the process before it opens other files than those that it has or may read."""
    problem = f"called {event}" if event.startswith(REFUSED) and event not in ALLOWED else ""
    if event == "import" and args[0].startswith("microgpt_evolution"):
        problem = "imported the judge"
    if event in CHECKED:
        is_read = event == "open" and not (args[2] or 0) & WRITES
        for each in (os.fsdecode(arg) for arg in args if isinstance(arg, str | bytes)):
            path = f"{os.path.abspath(each)}/"
            is_known = is_read and path.startswith(readable) and not path.startswith(DATA)
            if not is_known and not path.startswith(f"{os.getcwd()}/"):
                problem = f"opened {path[:-1]}"
    if problem:
        os.write(2, f"it {problem}; {RULE}".encode())
        os._exit(1)


if __name__ == "__main__":
    main()
