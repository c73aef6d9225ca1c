"""Run an experiment in a process that can read only the training documents.

The judge calls `main` in a new process, whose working directory contains only the experiment.
`guard` stops mistakes and simple tricks, not an attacker (docs/reference/searches.md).
"""

import json
import os
import sys
from contextlib import redirect_stderr
from importlib import import_module
from typing import Any

from microgpt import ConfigError, TrainConfig, TrainedModel, bundled, prepare_engine, save, train

EXPERIMENT, MODEL = "experiment.py", "model"  # the program, and the directory of its model
# Audit events whose paths `guard` checks, events that it allows, and prefixes that it refuses.
CHECKED = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir")
ALLOWED = (*CHECKED, "os.listdir", "os.scandir")
REFUSED = ("gc.", "os.", "pty.", "socket.", "subprocess.")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DATA = f"{bundled('names.txt').parent}/"  # unreadable, as a part of names.txt can be held out
RULE = "an experiment may use its own directory and the documents that it is given"


def main() -> None:
    """Call the function in experiment.py with arguments from standard input; save its model."""
    arguments, opened = json.load(sys.stdin), set[str]()
    sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)
    # These calls load the kernels. The experiment may read the files that they open.
    prepare_engine(None, uses=["training", "evaluation", "generation"])
    save(train(["a"], config=TrainConfig(steps=1)), "warm_up")
    readable = tuple(f"{os.path.abspath(place)}/" for place in (*opened, *sys.path))
    sys.path.insert(0, os.getcwd())
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        sys.addaudithook(lambda event, args: guard(readable, event, args))
        found = import_module("experiment").experiment(*arguments)
    if not isinstance(found, TrainedModel):
        raise ConfigError(f"experiment must return a TrainedModel, not {type(found).__name__}")
    save(found, MODEL)


def guard(readable: tuple[str, ...], event: str, args: tuple[Any, ...]) -> None:
    """End the process if an audit event is forbidden, such as opening a file of the user."""
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
