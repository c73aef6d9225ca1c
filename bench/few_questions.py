"""Questions that a model of few pairs answers, in the wording of the pairs and in others.

    uv run python bench/few_questions.py [--only museum]

Trains on each set of questions/ with the command of a user, `train --chat --minutes 1`. A set has
40 to 55 pairs, two other wordings of each question (vet: of 20 questions), and 30 to 40 questions
that the pairs do not answer; at least a quarter of these share words with the pairs. All sets
except library were written by a language model that did not know the method. The method was tuned
on library, museum and note_app; helpdesk, vet and hostel, which is in German, were written or read
afterwards. A minute on one core.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import parsed
from machine import machine

from microgpt import InferenceGpt, load
from microgpt_characters.hook import DEFAULT_REPLY

SETS = {path.stem: path for path in sorted(Path(__file__).with_name("questions").glob("*.json"))}
MINUTES = "1"


def main() -> None:
    """Train on each set and print the shares of right answers."""
    options = parsed(__doc__, only=SETS)
    print(machine())
    print(f"{'':10} pairs  exact  wordings: right  wrong  unknown: answered")
    for name in [options.only] if options.only else SETS:
        facts = json.loads(SETS[name].read_text())
        pairs = [(each["question"], each["answer"]) for each in facts["pairs"]]
        others = [(text, each["answer"]) for each in facts["pairs"] for text in each["wordings"]]
        gpt = trained(pairs)
        exact, right = (
            sum(gpt.chat(text).content == answer for text, answer in asked)
            for asked in (pairs, others)
        )
        refused = sum(gpt.chat(text).content == DEFAULT_REPLY for text, _ in others)
        answered = sum(gpt.chat(text).content != DEFAULT_REPLY for text in facts["unknown"])
        n = len(others)
        print(
            f"{name:10} {len(pairs):5} {exact / len(pairs):6.0%} {right / n:16.0%} "
            f"{(n - right - refused) / n:6.0%} {answered / len(facts['unknown']):18.0%}",
            flush=True,
        )


def trained(pairs: list[tuple[str, str]]) -> InferenceGpt:
    """Return the model of a user's command."""
    with TemporaryDirectory() as folder:
        lines = (json.dumps({"prompt": asked, "completion": said}) for asked, said in pairs)
        Path(folder, "faq.jsonl").write_text("\n".join(lines))
        command = ["train", "--chat", "--data", "faq.jsonl", "--minutes", MINUTES]
        subprocess.run(
            [sys.executable, "-m", "microgpt_cli", *command],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        return InferenceGpt(load(Path(folder, "output")))


if __name__ == "__main__":
    main()
