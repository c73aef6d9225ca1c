"""`microgpt list`: show the models and runs below a directory."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from microgpt.errors import ConfigError
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.options import AS_JSON, argument


def list_saved(
    directory: Path = argument(Path(), "Directory to search.", "DIR", show_default=True),
    as_json: bool = AS_JSON,
) -> None:
    """List the models and runs below a directory.

    The list includes unfinished training runs, searches and sweeps, newest first. The loss is the
    held-out loss if available; otherwise, for a model, it is the mean loss of the last training
    steps. Links, hidden directories and directories named "tests" are not followed.
    """
    from microgpt_cli.saved_directories import find_saved, lines_of

    if not os.path.isdir(directory):
        raise ConfigError(f"the directory {directory} does not exist; use another one")

    def report(error: OSError) -> None:
        note(f"cannot read {error.filename}: {error.strerror}")

    found = sorted(find_saved(directory, report), key=lambda one: one.modified, reverse=True)
    if as_json:
        print(json.dumps({"saved": [asdict(saved) for saved in found]}))
        return
    if not found:
        note(f"there is no model or run in {directory}; train a model with `microgpt train`")
        return
    for line in lines_of(found):
        print(terminal_safe(line))
