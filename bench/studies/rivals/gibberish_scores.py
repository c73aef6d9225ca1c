# /// script
# requires-python = ">=3.11"
# dependencies = ["gibberish-detector==0.1.1"]
# ///
"""gibberish-detector for secret_detection.py: bigrams of letters, trained on the same identifiers.

Reads {"train": […], "texts": […]} from a file, and prints a score per text: the higher, the more
likely it is gibberish.
"""

import json
import string
import sys
from pathlib import Path

from gibberish_detector.detector import Detector
from gibberish_detector.trainer import train_on_content


def main() -> None:
    """Train a detector and score the texts."""
    job = json.loads(Path(sys.argv[1]).read_text())
    model = train_on_content("\n".join(job["train"]), string.ascii_letters)
    detector = Detector(model, 4.0)
    score = detector.calculate_probability_of_being_gibberish
    print(json.dumps([score(text) for text in job["texts"]]))


if __name__ == "__main__":
    main()
