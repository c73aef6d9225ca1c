# /// script
# requires-python = ">=3.11"
# dependencies = ["altair>=6,<7", "vl-convert-python>=1.8,<2"]
# ///
"""Turn bench/results into the tables of docs/performance.md and its pictures.

uv run --script bench/report.py
"""

import json
import re
from pathlib import Path

import pictures
from tables import (
    NAMES,
    decoding_rows,
    evaluating_rows,
    names_rows,
    scaling_tables,
    speed_rows,
    startup_rows,
    table,
    threads_rows,
)

ROOT = Path(__file__).parents[1]
RESULTS, PICTURES = ROOT / "bench" / "results", ROOT / "docs" / "pictures"
PAGE = ROOT / "docs" / "performance.md"
PICTURED = "amd-epyc"  # the machine of the pictures that show one
EVALUATING = ["", "training", "losses of tokens", "`InferenceGpt.evaluate` of texts"]


def main() -> None:
    """Write the tables and the pictures."""
    speed, scaling, decoding, threads, startup = map(
        results, ("train_speed", "train_scaling", "decode_speed", "threads", "startup")
    )
    tables = {
        "train_speed": table(["", *NAMES.values()], speed_rows, speed),
        "train_scaling": scaling_tables(scaling),
        "decode_speed": table(["tokens/s", *NAMES.values()], decoding_rows, decoding),
        "decode_names": table(["", ""], names_rows, decoding),
        "evaluating": table(EVALUATING, evaluating_rows, decoding),
        "threads": table(["", "one thread", "two", ""], threads_rows, threads),
        "startup": table(["", "", "the first time ever"], startup_rows, startup),
    }
    page = PAGE.read_text(encoding="utf-8")
    for name, text in tables.items():
        page = put(page, name, text)
    PAGE.write_text(page, encoding="utf-8")
    pictures.speeds(decoding[0]).save(PICTURES / "decode_speed.svg")
    pictures.ratios(speed[0]).save(PICTURES / "train_speed.svg")
    pictures.curves(speed[0]).save(PICTURES / "loss_against_seconds.svg")
    pictures.costs(scaling).save(PICTURES / "train_scaling.svg")


def results(bench: str) -> list[dict]:
    """Return what a bench found on each machine, that of the pictures first."""
    paths = sorted(RESULTS.glob(f"*/{bench}.json"))
    paths.sort(key=lambda path: path.parent.name != PICTURED)
    return [json.loads(path.read_text()) for path in paths]


def put(page: str, name: str, text: str) -> str:
    """Replace what stands between the markers of a table."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
    page, n = re.subn(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL)
    assert n == 1, f"{PAGE} has no place for {name}"
    return page


if __name__ == "__main__":
    main()
