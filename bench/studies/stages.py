"""The stages of experience.py: which texts, budgets and settings are trained."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from tables import headed

# "random": settings as a user may try them. "near": around those that were best in stage 0.
# "varied": changes of one setting. "rule": those of `microgpt.training.choice`.
How = Literal["random", "near", "varied", "rule"]


@dataclass(frozen=True)
class Stage:
    """Training runs with the same budget: the number of settings and the parts of each text."""

    seconds: int  # on the machine where the stages were planned
    n_settings: int
    shares: tuple[int, ...] = (1,)  # the settings take turns; n means every n-th part of the text
    texts: tuple[str, ...] = ()  # all that are in the fit, by default
    how: How = "random"


@dataclass(frozen=True)
class Variations:
    """Settings, and changes of one or two of them."""

    texts: tuple[str, ...]
    centre: dict[str, Any]
    changes: tuple[dict[str, Any], ...]


VARIATIONS = {  # by seconds
    20: Variations(
        ("shakespeare", "german words", "bible verses", "music", "names"),
        {
            "n_embd": 72, "n_layer": 2, "block_size": 128, "vocab_size": 1024, "n_tokens": 1000,
            "lr": 0.004, "weight_decay": 0.03, "average_tail": 0.0, "dropout": 0.05,
        },
        (
            {},
            {"weight_decay": 0.01}, {"weight_decay": 0.1}, {"weight_decay": 0.3},
            {"lr": 0.002}, {"lr": 0.008},
            {"n_tokens": 500}, {"n_tokens": 2000}, {"n_tokens": 4000},
            {"n_embd": 104, "n_layer": 1}, {"n_embd": 56, "n_layer": 3},
            {"n_embd": 40, "n_layer": 6},
            {"n_embd": 48}, {"n_embd": 96}, {"n_embd": 128},
            {"vocab_size": 512}, {"vocab_size": 2048}, {"vocab_size": 4096}, {"vocab_size": None},
            {"block_size": 64}, {"block_size": 256},
            {"average_tail": 0.3}, {"dropout": 0.0}, {"dropout": 0.15},
        ),
    ),
    60: Variations(
        ("shakespeare", "german words", "bible verses", "python source"),
        {
            "n_embd": 88, "n_layer": 3, "block_size": 128, "vocab_size": 1280, "n_tokens": 1000,
            "lr": 0.004, "weight_decay": 0.05, "average_tail": 0.0, "dropout": 0.05,
        },
        (
            {},
            {"n_embd": 64, "n_layer": 2}, {"n_embd": 88, "n_layer": 2},
            {"n_embd": 112, "n_layer": 4}, {"n_embd": 144, "n_layer": 4},
            {"vocab_size": 2048}, {"vocab_size": 4096}, {"lr": 0.007}, {"n_tokens": 2000},
        ),
    ),
}  # fmt: skip
PROSE = ("shakespeare", "bible verses", "python source")
SMALL = ("time zones", "chinese names", "emoji names")
LARGE = ("german words", "unicode names", "bible verses", "shakespeare", "python source", "music")
STAGES = (
    Stage(5, 12, (1, 4, 1, 16)),
    Stage(1, 8, texts=SMALL, how="near"),
    Stage(2, 6, (4, 4, 16), texts=("names", "russian words", "german words"), how="near"),
    Stage(20, 6, (1, 4, 1, 1), how="near"),
    Stage(60, 1, texts=("names", "russian words", "arithmetic", *LARGE), how="near"),
    *(
        Stage(seconds, len(each.changes), texts=each.texts, how="varied")
        for seconds, each in VARIATIONS.items()
    ),
    Stage(5, 1, how="rule"),
    Stage(20, 1, (1, 4), how="rule"),
    Stage(60, 1, how="rule"),
    Stage(60, 20, texts=("names", "shakespeare", "german words")),
    Stage(60, 20, texts=("towns", "technical prose", "french words")),
    Stage(300, 24, texts=("technical prose",)),
)
WORDS = {
    "weight_decay": "weight decay",
    "lr": "learning rate",
    "n_tokens": "tokens per step",
    "n_embd": "width",
    "n_layer": "layers",
    "vocab_size": "subwords",
    "block_size": "context",
    "average_tail": "averaged share of the steps",
    "dropout": "dropout",
}


def variations_table(trained: Iterable[dict[str, Any]], seconds: int) -> str:
    """Return a table of the change of the validation loss by each variation, in percent."""
    varied = [each for each in trained if (each["how"], each["seconds"]) == ("varied", seconds)]
    losses = {(each["text"], each["seed"]): each["val_bits"] for each in varied}
    texts = VARIATIONS[seconds].texts
    lines = []
    for number, change in enumerate(VARIATIONS[seconds].changes):
        what = ", ".join(
            "characters" if value is None else f"{WORDS[name]} {value}"
            for name, value in change.items()
        )
        found = [losses.get((text, number)) for text in texts]
        if number == 0:
            what = "bits per character"
            cells = ["" if each is None else f"{each:.3f}" for each in found]
        else:
            changes = [
                100 * (loss / losses[text, 0] - 1) if loss and (text, 0) in losses else None
                for text, loss in zip(texts, found, strict=True)
            ]
            cells = ["" if each is None else f"{each:+.1f} %" for each in changes]
        lines.append([what, *cells])
    return headed([f"{seconds} s", *texts], lines)
