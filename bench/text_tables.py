"""Markdown tables of the results of text_quality.py for report.py."""

from statistics import fmean

from quality_tables import mean_and_sd, rows, trainings
from tables import conditions

WITH_MUON = "bpe-4096, newer architecture, Muon"
# None: all characters
VOCAB_SIZES = {"characters": None, "bpe-1024": 1024, "bpe-4096": 4096, WITH_MUON: 4096}
FENCE = "~~~~"  # replies may contain backticks
PROMPTS = ("What is the capital of France?", "Write a short poem about the sea.")


def text_table(quality: dict) -> str:
    """Return a table of the losses of text models by tokenizer."""
    lines = [["", "vocabulary", "tokens per character", "weights", "steps", "seconds", "A", "B"]]
    lines.append(["---", *["---:"] * 7])
    for name in VOCAB_SIZES:
        found = trainings(quality, name)
        if found:
            first = found[0]
            lines.append([
                name,
                f"{first['vocab_size']:,}",
                f"{first['tokens_a_character']:.2f}",
                f"{first['params']:,}",
                f"{first['settings']['steps']:,}",
                f"{fmean(each['seconds'] for each in found):.0f}",
                mean_and_sd(each["val_bits"] for each in found),
                f"**{mean_and_sd(each['test_bits'] for each in found)}**",
            ])  # fmt: skip
    return f"{rows(lines)}\n\n{conditions([quality])}"


def replies(quality: dict) -> str:
    """Return the replies of the first model per tokenizer, grouped by prompt, as Markdown."""
    first = {name: found[0] for name in VOCAB_SIZES if (found := trainings(quality, name))}
    lines = []
    for i, prompt in enumerate(PROMPTS):
        lines += [f"> {prompt}", ""]
        for name, found in first.items():
            lines += [f"{name}:", "", FENCE, found["replies"][i], FENCE, ""]
    return "\n".join(lines).rstrip()
