"""Run a study of bench/studies: a question, a command and a result.

    uv run python bench/study.py            # lists the studies
    uv run python bench/study.py threads --rounds 5

The docstring of a study begins with its question and its result, followed by its command. A study
defines `measure(options)`, which returns the results to store, or `runs(options)`, which yields
training runs whose results are stored one by one. `OPTIONS` defines further options; `TABLES` and
`PICTURES` define what bench/report.py generates from the results, which are stored as `STORED`, by
default under the name of the study.
"""

import re
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import harness

STUDIES = Path(__file__).parent / "studies"


@dataclass(frozen=True)
class Description:
    """The parts of a study's docstring."""

    name: str
    question: str
    result: str
    command: str

    @property
    def row(self) -> list[str]:
        """The row of the table in bench/README.md."""
        result = re.sub(r"\bdocs/(\S+?\.md)", r"[\1](../docs/\1)", self.result)
        return [f"[`{self.name}`](studies/{self.name}.py)", self.question, result]


def descriptions() -> list[Description]:
    """Return the descriptions of all studies."""
    found = []
    for path in sorted(STUDIES.glob("*.py")):
        match = re.match(
            r'r?"""(?P<question>[^"]+?\?)\n\n(?P<result>.+?)\n\n    (?P<command>uv run .+?)\n\n',
            path.read_text(encoding="utf-8"),
            re.DOTALL,
        )
        if match:
            texts = {name: " ".join(text.split()) for name, text in match.groupdict().items()}
            found.append(Description(path.stem, **texts))
    return found


def main() -> None:
    """Run the study that the first argument names."""
    studies = {each.name: each for each in descriptions()}
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in studies:
        for each in studies.values():
            print(f"{each.name:20} {each.question}")
        sys.exit(0 if name in ("", "-h", "--help") else f"error: there is no study {name!r}")
    run(import_module(f"studies.{name}"))


def run(study: ModuleType) -> None:
    """Parse the options of a study, run it, store its results and print its tables."""
    name = stored_as(study)
    options = dict[str, Any](getattr(study, "OPTIONS", {}))
    if hasattr(study, "runs"):
        chosen = harness.parsed(study.__doc__, **harness.TRAINING, **options)
        found = harness.train_missing(name, study.runs(chosen), chosen)
    else:
        chosen = harness.parsed(study.__doc__, **options)
        found = study.measure(chosen)
        if found is not None:
            found = harness.store(name, found, chosen)
    if found is not None:
        for table in getattr(study, "TABLES", {}).values():
            print(f"\n{table(found)}")


def stored_as(module: ModuleType) -> str:
    """Return the name of the results of a study or a benchmark."""
    return getattr(module, "STORED", module.__name__.rpartition(".")[2])


if __name__ == "__main__":
    main()
