"""Texts longer than the context, through the real command: what is learnt, told and remembered."""

import os
import sys

import pytest
from commands import ok, run_process

from microgpt import load

SMALL = ("--n-embd", "8", "--n-head", "2", "--steps", "30", "--num-samples", "2", "--output", "m")
CHARS = ("--tokenizer", "char")
HELD_OUT = ("--text", "stream", "--val-fraction", "0.2", "--test-fraction", "0.1")


@pytest.mark.parametrize("tokenizer", [CHARS, ("--tokenizer", "bpe", "--vocab-size", "260")])
def test_stretches_of_a_text_are_held_out_with_gaps(microgpt, tmp_path, tokenizer) -> None:
    (tmp_path / "book.txt").write_bytes(b"anna and\r\nemma\r\n\r\n" * 12 + b"mia.")
    size = "16" if tokenizer == CHARS else "4"  # a subword counts as four characters
    options = (*HELD_OUT, *SMALL, "--block-size", size, *tokenizer)
    done = microgpt("train", "--input", "book.txt", *options)
    said = (
        "64 characters for training, 37 for validation, 19 for testing; "
        "2 held-out stretches with gaps of 16 characters\n"
    )
    assert said in done.stderr
    saved = load(tmp_path / "m")
    assert (saved.config.text, saved.meta.training["gap"]) == ("stream", 16)
    assert saved.tokenizer.decode(saved.tokenizer.encode("a\na")) == "a\na"
    done = microgpt("train", "--resume", "m", "--steps", "40")
    assert said in done.stderr


@pytest.mark.parametrize("text", ["lines", "stream"])
def test_train_accepts_a_line_of_a_megabyte(microgpt, tmp_path, text) -> None:
    (tmp_path / "huge.txt").write_text("all work and no play " * 50_000)
    done = ok(microgpt("train", "--input", "huge.txt", "--text", text, *SMALL))
    assert len(done.stderr) < 2_000
    assert (tmp_path / "m/train_state.safetensors").stat().st_size < 100_000


# Linux counts the memory of the one that starts a process as that of the process, so a small one
# has to start it.
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_of(folder, *args: str) -> int:
    """Return the most memory, in bytes, that a command takes."""
    command = [sys.executable, "-c", PEAK, "microgpt", *args]
    done = run_process(command, cwd=folder)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


@pytest.mark.slow
@pytest.mark.long
def test_training_on_a_million_lines_takes_bounded_memory(tmp_path) -> None:
    lines = (f"{i * 2_654_435_761 % 2**32:x}" for i in range(1_000_000))
    (tmp_path / "million.txt").write_text("\n".join(lines))
    (tmp_path / "few.txt").write_text("anna\nemma\n" * 20)
    size = os.stat(tmp_path / "million.txt").st_size
    idle = peak_of(tmp_path, "train", "--input", "few.txt", "--output", "few", "--steps", "1")
    whole = ("--steps", "3907", "--batch-size", "256", "--val-fraction", "0.01")
    whole += ("--n-embd", "1", "--n-head", "1")
    used = peak_of(tmp_path, "train", "--input", "million.txt", "--output", "million", *whole)
    assert used - idle <= 10 * size + 150_000_000
