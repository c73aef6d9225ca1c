"""Choose the temperature and length of samples, and detect truncated, looping and copied ones."""

import re
from collections.abc import Sequence
from string import ascii_uppercase

from microgpt import Document, Sampling, SavedModel, TrainResult
from microgpt_cli.terminal.console import note

LETTERS = {*ascii_uppercase, "*", "-"}  # characters of DNA and protein sequences
SEQUENCES, LONG_TEXTS = 1.0, 0.8  # default temperatures; 1 keeps the letters' frequencies
MAX_CONTEXTS, MAX_TOKENS = 4, 4000  # maximum length of a sample: in contexts, and in tokens
COPIED, STEP = 50, 25  # length of the substrings that are looked up; distance between their starts
# A loop: a string repeated at least five times, for at least 60 characters, at the end of a text.
LOOP, LOOP_CHARS = re.compile(r"(.{1,80}?)\1{4,}\Z", re.DOTALL), 60


def usual_temperature(model: SavedModel | TrainResult) -> float:
    """Return the default temperature for the kind of text that a model was trained on."""
    chars = {*(model.tokenizer.chars or "")}
    if chars and chars <= LETTERS:
        return SEQUENCES
    return LONG_TEXTS if "\n" in chars or model.config.text == "stream" else Sampling.temperature


def usual_length(model: SavedModel | TrainResult) -> int | None:
    """Return the default maximum number of tokens per sample, or None for the context size."""
    if isinstance(model, SavedModel):
        longest = model.meta.training.get("longest")
    else:
        longest = max((len(doc) for doc in model.documents if isinstance(doc, str)), default=0)
    size = model.model.block_size
    if not isinstance(longest, int) or longest < size or model.config.text == "stream":
        return None
    return min(longest + 1, MAX_CONTEXTS * size, max(size, MAX_TOKENS))


def note_faults(
    samples: Sequence[str], model: SavedModel | TrainResult, max_tokens: int | None
) -> None:
    """Print notes on how many samples were truncated at the maximum length, or end in a loop."""
    of = f"of {len(samples)} samples"
    limit, count = max_tokens or model.model.block_size, model.tokenizer.count
    n_cut = sum(count(text) >= limit for text in samples)
    if n_cut and (max_tokens or 2 * n_cut > len(samples)) and model.config.text != "stream":
        note(f"{n_cut} {of} end at {limit} tokens; for more, use --max-tokens {4 * limit}")
    ends = (LOOP.search(text[-1000:]) for text in samples if len(text) >= LOOP_CHARS)
    if n_loops := sum(end is not None and len(end[0]) >= LOOP_CHARS for end in ends):
        note(f"{n_loops} {of} end in a loop; use a higher --temperature, or train for longer")


def copied_share(samples: Sequence[str], docs: Sequence[Document]) -> float | None:
    """Return the fraction of the samples' 50-character substrings that training documents contain.

    Return None if all samples are shorter than 50 characters.
    """
    starts = [(text, i) for text in samples for i in range(0, len(text) - COPIED + 1, STEP)]
    if not starts:
        return None
    texts = [doc for doc in docs if isinstance(doc, str)]
    found = (any(text[i : i + COPIED] in doc for doc in texts) for text, i in starts)
    return sum(found) / len(starts)
