"""The tables of secret_detection.py."""

from statistics import fmean, stdev
from typing import Any

TITLES = {
    "microgpt": "**microgpt**",
    "kneser_ney": "Kneser-Ney, 6-grams, trained on the same",
    "entropy": "Shannon entropy",
    "gibberish": "gibberish-detector, trained on the same",
}
ANSWERS = {"entropy_of_tools": "Shannon entropy ≥ 4.5", "nostril": "Nostril"}
CLASSES = ("tokens", "keys", "hashes", "passwords")


def secrets_table(kept: dict[str, Any]) -> str:
    """Return the shares of innocent strings that each detector reports."""
    shares = kept["shares"]
    lines = [
        f"| reported at 99 % recall | {' | '.join(CLASSES)} |",
        "| --- |" + " ---: |" * len(CLASSES),
    ]
    for name, title in TITLES.items():
        cells = [_spread([one["share"] for one in shares[name][kind]]) for kind in CLASSES]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    lines += [
        "",
        f"| yes or no | {' | '.join(CLASSES)} |",
        "| --- |" + " ---: |" * len(CLASSES),
    ]
    for name, title in ANSWERS.items():
        found = [shares[name][kind] for kind in CLASSES]
        recalls = [f"{100 * one['recall']:.0f} %" for one in found]
        lines.append(f"| {title}: finds | {' | '.join(recalls)} |")
        lines.append(f"| reports | {' | '.join(_percent(one['share']) for one in found)} |")
        ours = [_spread([each["share"] for each in one["ours"]]) for one in found]
        lines.append(f"| **microgpt**, if it finds as many | {' | '.join(ours)} |")
    return "\n".join([*lines, "", f"{kept['machine']}; {kept['date']}."])


def examples_table(kept: dict[str, Any]) -> str:
    """Return the most suspicious identifiers, and the least suspicious secrets."""
    lines = ["| | bits per character |", "| --- | --- |"]
    for kind, found in kept["examples"].items():
        title = "identifiers, the most suspicious" if kind == "identifiers" else kind
        mark = "" if kind == "identifiers" else "…"
        listed = ", ".join(f"`{text}{mark}` {bits:.2f}" for text, bits in found)
        lines.append(f"| {title} | {listed} |")
    return "\n".join(lines)


def _spread(shares: list[float]) -> str:
    if len(shares) == 1:
        return _percent(shares[0])
    return f"{_percent(fmean(shares))} ± {100 * stdev(shares):.2g}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{share:.0%}".replace("%", " %")
