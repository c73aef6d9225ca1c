# /// script
# requires-python = ">=3.11"
# dependencies = ["nostril-detector==1.2.2"]
# ///
"""Nostril for secret_detection.py: n-grams of letters, as its authors trained it on identifiers.

Reads {"texts": […]} from a file, and prints 1 for each text that it calls nonsense, otherwise 0.
Texts with fewer than six letters, which it refuses, count as 0.
"""

import json
import sys
from pathlib import Path

from nostril_detector import nonsense


def answer(text: str) -> int:
    """Return 1 if a text is nonsense."""
    try:
        return int(nonsense(text))
    except ValueError:  # too short
        return 0


def main() -> None:
    """Judge the texts."""
    job = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps([answer(text) for text in job["texts"]]))


if __name__ == "__main__":
    main()
