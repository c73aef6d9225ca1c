"""Does a model of identifiers find secrets among them, compared with packaged detectors?

At 99 % recall it reports 0.4 % of the identifiers or fewer, the others up to 91 %
(docs/measurements/secrets.md).

    uv run python bench/study.py secret_detection [--seeds 3]

The model is trained on the identifiers of Python's standard library and of two thirds of the
packages that are installed with microgpt. The innocent strings are the identifiers of the other
packages that do not occur in the training data. The secrets are generated: random tokens, keys in
the formats of services, hashes, and passwords that can be pronounced.

Each detector that gives a score gets the threshold that finds 99 % of other secrets of the same
class. For a detector that only answers yes or no, the model gets the threshold that finds as many
secrets as the detector.

Ten minutes on one core. gibberish-detector and nostril-detector run in separate environments, which
uv creates.
"""

import json
import math
import runpy
import string
import subprocess
import sys
import sysconfig
import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import md5, sha1, sha256
from importlib.metadata import distributions
from pathlib import Path
from random import Random
from statistics import fmean, stdev

import altair as alt
import numpy as np
from harness import BENCH, ROOT, script, seeds
from tables import headed, rows

from microgpt.evaluation.ngram_loss import document_bits
from microgpt.evaluation.scoring import UNKNOWN_BITS, Scorer
from microgpt.inference import InferenceGpt
from microgpt.storage.model_directory import load
from microgpt_report.look import BLUE, ORANGE

OPTIONS = {"seeds": 3}
BUDGET = 1e13  # operations of a training run; about a minute
N = 2000  # secrets of each class to choose a threshold with, and to test
MIN_LENGTH = 8  # of innocent strings
RECALL = 0.99
N_EXAMPLES = 5
N_SHOWN = 12  # characters of a secret; scanners would report the whole
TOOLS_ENTROPY = 4.5  # bits per character: a threshold of scanners for base64
TRAIN_SHARE = 2 / 3  # of the packages
BASE62 = string.ascii_letters + string.digits
CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"

Score = Callable[[Sequence[str]], np.ndarray]  # the higher, the more suspicious


@dataclass(frozen=True)
class Strings:
    """The innocent strings, and the secrets of each class."""

    train: list[str]
    innocent: list[str]
    chosen: dict[str, list[str]]  # to choose thresholds with
    tested: dict[str, list[str]]


def measure(options: Namespace) -> dict:
    """Train and compare the detectors."""
    strings = gather()
    print(f"{len(strings.train):,} identifiers to train on, {len(strings.innocent):,} innocent")
    models = [scored_by_model(train(strings, seed)) for seed in seeds(options)]
    others: dict[str, Score] = {
        "entropy": lambda texts: np.array([entropy(text) for text in texts]),
        "kneser_ney": scored_by_ngrams(strings.train),
        "gibberish": lambda texts: rival("gibberish_scores.py", strings.train, texts),
    }
    shares: dict[str, dict[str, object]] = {
        "microgpt": {
            kind: [reported(strings, kind, model, RECALL) for model in models]
            for kind in strings.tested
        }
    }
    for name, score in others.items():
        shares[name] = {kind: [reported(strings, kind, score, RECALL)] for kind in strings.tested}
    yes_or_no: dict[str, Score] = {
        "entropy_of_tools": lambda texts: others["entropy"](texts) >= TOOLS_ENTROPY,
        "nostril": lambda texts: rival("nostril_answers.py", [], texts),
    }
    for name, answer in yes_or_no.items():
        found = {}
        for kind, texts in strings.tested.items():
            recall = float(np.mean(answer(texts)))
            ours = [reported(strings, kind, model, recall) for model in models]
            found[kind] = {
                "recall": recall,
                "share": float(np.mean(answer(strings.innocent))),
                "ours": ours,
            }
        shares[name] = found
    return {
        "n_train": len(strings.train),
        "n_innocent": len(strings.innocent),
        "shares": shares,
        "quantiles": {  # of the bits per character of the first model, for the picture
            kind: np.quantile(models[0](texts), np.linspace(0, 1, 101)).round(3).tolist()
            for kind, texts in {"identifiers": strings.innocent, **strings.tested}.items()
        },
        "examples": examples(strings, models[0]),
    }


def examples(strings: Strings, score: Score) -> dict[str, list[tuple[str, float]]]:
    """Return the most suspicious innocent strings, and how the least suspicious secrets begin."""
    found = {}
    for kind, texts in {"identifiers": strings.innocent, **strings.tested}.items():
        scores = score(texts)
        is_innocent = kind == "identifiers"
        order = np.argsort(-scores if is_innocent else scores)[:N_EXAMPLES]
        shown = None if is_innocent else N_SHOWN
        found[kind] = [(texts[i][:shown], round(float(scores[i]), 2)) for i in order]
    return found


def gather() -> Strings:
    """Return the strings; they depend on the installed packages, but not on their order."""
    train, others = set(identifiers_in(Path(sysconfig.get_path("stdlib")))), set()
    for name, folder in installed():
        place = int(sha256(name.encode()).hexdigest()[:8], 16) / 2**32
        (train if place < TRAIN_SHARE else others).update(identifiers_in(folder))
    innocent = sorted(each for each in others - train if len(each) >= MIN_LENGTH)
    rng = Random(1)
    chosen, tested = (
        {kind: [make(rng) for _ in range(N)] for kind, make in SECRETS.items()} for _ in range(2)
    )
    return Strings(sorted(train), innocent, chosen, tested)


def installed() -> list[tuple[str, Path]]:
    """Return the names and folders of the installed packages, except for microgpt's own."""
    found = {}
    for each in distributions():
        for line in (each.read_text("top_level.txt") or each.metadata["Name"]).split():
            folder = Path(str(each.locate_file(line.lower().replace("-", "_"))))
            if folder.is_dir() and not line.startswith("microgpt"):
                found[line] = folder
    return sorted(found.items())


def identifiers_in(folder: Path) -> set[str]:
    """Return the ASCII identifiers in the Python files of a folder or package."""
    example = ROOT / "examples" / "identifiers.py"
    identifiers: Callable[[Path], set[str]] = runpy.run_path(str(example))["identifiers"]
    files = (
        path
        for path in folder.rglob("*.py")
        if "site-packages" not in path.relative_to(folder).parts
    )
    return {name for path in files for name in identifiers(path) if name.isascii()}


def token(rng: Random) -> str:
    """Return random letters and digits."""
    return "".join(rng.choices(BASE62, k=rng.randint(20, 40)))


def key(rng: Random) -> str:
    """Return a key in the format of a service."""
    prefix, alphabet, length = rng.choice(
        [
            ("AKIA", string.ascii_uppercase + "234567", 16),  # Amazon
            ("ghp_", BASE62, 36),  # GitHub
            ("AIza", BASE62 + "_-", 35),  # Google
            ("sk_live_", BASE62, 24),  # Stripe
            ("xoxb-", string.digits + "-", 24),  # Slack
        ]
    )
    return prefix + "".join(rng.choices(alphabet, k=length))


def hashed(rng: Random) -> str:
    """Return a hash in hexadecimal digits."""
    function = rng.choice([md5, sha1, sha256])
    return function(rng.randbytes(20)).hexdigest()


def password(rng: Random) -> str:
    """Return a password of syllables, with a capital and digits."""
    syllables = "".join(
        rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.randint(5, 8))
    )
    return syllables.capitalize() + str(rng.randint(10, 99))


SECRETS = {"tokens": token, "keys": key, "hashes": hashed, "passwords": password}


def train(strings: Strings, seed: int) -> Path:
    """Train a model on the identifiers and return its directory."""
    folder = Path(tempfile.mkdtemp())
    (folder / "identifiers.txt").write_text("\n".join(strings.train) + "\n")
    command = [sys.executable, "-m", "microgpt_cli", "train", "--data", "identifiers.txt"]
    options = ["--budget", str(BUDGET), "--seed", str(seed), "--model", "model"]
    subprocess.run([*command, *options], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "model"


def scored_by_model(directory: Path) -> Score:
    """Return the bits per character of a model."""
    scorer = Scorer(InferenceGpt(load(directory)))
    return lambda texts: scorer.score(texts).bits_per_character


def scored_by_ngrams(train: Sequence[str]) -> Score:
    """Return the bits per character of an n-gram model."""
    known = set("".join(train))

    def score(texts: Sequence[str]) -> np.ndarray:
        kept = ["".join(char for char in text if char in known) for text in texts]
        n_unknown = np.array([*map(len, texts)]) - [*map(len, kept)]
        bits = document_bits(train, kept) + UNKNOWN_BITS * n_unknown
        return bits / np.array([len(text) + 1 for text in texts])

    return score


def entropy(text: str) -> float:
    """Return Shannon's entropy of the characters of a text, in bits."""
    n = len(text)
    return -math.fsum(count / n * math.log2(count / n) for count in Counter(text).values())


def rival(name: str, train: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """Return the scores or answers of a packaged detector."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "job.json")
        path.write_text(json.dumps({"train": [*train], "texts": [*texts]}))
        command = script(BENCH / "studies" / "rivals" / name, path)
        return np.array(json.loads(subprocess.check_output(command)))


def reported(strings: Strings, kind: str, score: Score, recall: float) -> dict[str, float]:
    """Return the share of innocent strings that are reported if a share of secrets is found."""
    threshold = np.quantile(score(strings.chosen[kind]), 1 - recall)
    return {
        "recall": float(np.mean(score(strings.tested[kind]) >= threshold)),
        "share": float(np.mean(score(strings.innocent) >= threshold)),
        "threshold": float(threshold),
    }


TITLES = {
    "microgpt": "**microgpt**",
    "kneser_ney": "Kneser-Ney, 6-grams, trained on the same",
    "entropy": "Shannon entropy",
    "gibberish": "gibberish-detector, trained on the same",
}
ANSWERS = {"entropy_of_tools": "Shannon entropy ≥ 4.5", "nostril": "Nostril"}


def secrets_table(kept: dict, *_: dict) -> str:
    """Return the shares of innocent strings that each detector reports."""
    shares = kept["shares"]
    scores, answers = [], []
    for name, title in TITLES.items():
        cells = [_spread([one["share"] for one in shares[name][kind]]) for kind in SECRETS]
        scores.append([title, *cells])
    for name, title in ANSWERS.items():
        found = [shares[name][kind] for kind in SECRETS]
        ours = [_spread([each["share"] for each in one["ours"]]) for one in found]
        answers.append([f"{title}: finds", *(f"{100 * one['recall']:.0f} %" for one in found)])
        answers.append(["reports", *(_percent(one["share"]) for one in found)])
        answers.append(["**microgpt**, if it finds as many", *ours])
    return "\n\n".join(
        [
            headed(["reported at 99 % recall", *SECRETS], scores),
            headed(["yes or no", *SECRETS], answers),
            f"{kept['machine']}; {kept['date']}.",
        ]
    )


def examples_table(kept: dict, *_: dict) -> str:
    """Return the most suspicious identifiers, and the least suspicious secrets."""
    lines = [["", "bits per character"], ["---", "---"]]
    for kind, found in kept["examples"].items():
        title = "identifiers, the most suspicious" if kind == "identifiers" else kind
        mark = "" if kind == "identifiers" else "…"
        listed = ", ".join(f"`{text}{mark}` {bits:.2f}" for text, bits in found)
        lines.append([title, listed])
    return rows(lines)


def _spread(shares: list[float]) -> str:
    if len(shares) == 1:
        return _percent(shares[0])
    return f"{_percent(fmean(shares))} ± {100 * stdev(shares):.2g}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{share:.0%}".replace("%", " %")


QUANTILES = {"low": 1, "lower": 25, "median": 50, "upper": 75, "high": 99}  # in percent


def secrets(detection: dict, *_: dict) -> alt.LayerChart:
    """Return the chart of the bits per character of identifiers and of each class of secrets."""
    values = [
        {
            "kind": kind,
            "secret": kind != "identifiers",
            **{name: quantiles[at] for name, at in QUANTILES.items()},
        }
        for kind, quantiles in detection["quantiles"].items()
    ]
    order = sorted(values, key=lambda row: row["median"])
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("kind:N", title=None, sort=[row["kind"] for row in order]),
        color=alt.Color(
            "secret:N", scale=alt.Scale(domain=[False, True], range=[BLUE, ORANGE]), legend=None
        ),
    )
    title = "bits per character: 1 % to 99 %, the middle half, the median"
    x = alt.X("low:Q", title=title, scale=alt.Scale(zero=True))
    whole = base.mark_bar(height=3).encode(x=x, x2="high:Q")
    middle = base.mark_bar(height=14, opacity=0.7).encode(x="lower:Q", x2="upper:Q")
    median = base.mark_tick(thickness=2.5, height=20).encode(x="median:Q")
    chart: alt.LayerChart = alt.layer(whole, middle, median).properties(
        width=520, height=170, title="Bits per character of secrets and of identifiers"
    )
    return chart


TABLES = {"secret_detection": secrets_table, "secret_examples": examples_table}
PICTURES = {"secrets": secrets}
