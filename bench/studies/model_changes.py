"""What do changes of Karpathy's model do to its loss?

Only residual connections and separate output weights clearly matter after a thousand names
(docs/change.md).

    uv run python bench/study.py model_changes

Runs the snippets of docs/change.md with several seeds, and prints the table of that page: the loss
of 500 names after a thousand steps, and its difference from the unchanged model, paired by seed.
The reference engine takes 15 to 30 seconds for each run: eight minutes for three seeds.
"""

import re
from argparse import Namespace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from machine import machine
from tables import rows

PAGE = Path(__file__).parents[2] / "docs" / "change.md"
OPTIONS = {"seeds": 3, "steps": 1000}
CALL = re.compile(r"(?m)^print\(held_out_loss\((.*)\)\)$")


def measure(options: Namespace) -> None:
    """Print the losses of each change."""
    print(machine())
    scope: dict[str, Any] = {}
    lines = [["change", "loss", "difference"], ["---", "---:", "---:"]]
    unchanged: list[float] = []
    for title, code, arguments in snippets(PAGE.read_text(encoding="utf-8")):
        exec(code, scope)
        losses = []
        for seed in range(1, options.seeds + 1):
            call = ", ".join([*arguments, f"{seed=}", f"steps={options.steps}"])
            losses.append(eval(f"held_out_loss({call})", scope))
        unchanged = unchanged or losses
        pairs = zip(losses, unchanged, strict=True)
        differences = [loss - other for loss, other in pairs]
        lines.append([title, spread(losses), spread(differences) if title != "none" else ""])
        print(lines[-1], flush=True)
    print(rows(lines))


def snippets(page: str) -> list[tuple[str, str, list[str]]]:
    """Return the title of each experiment, its code, and the arguments of its call."""
    found = []
    for section in page.split("\n## "):
        for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
            title = section.partition("\n")[0]
            call = CALL.search(code)
            assert call, title
            is_first = title.startswith("# ")
            arguments = [call[1]] if call[1] else []
            found.append(("none" if is_first else title, CALL.sub("", code), arguments))
    return found


def spread(values: list[float]) -> str:
    """Return a mean ± a standard deviation."""
    return f"{mean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"
