"""`microgpt generate`: sample from a model."""

import json
import re
import sys
import warnings
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from microgpt import DEFAULT_SEED, ConfigError, Sampling, checked, printable
from microgpt_cli.terminal import options as opt
from microgpt_cli.terminal.console import note, terminal_safe
from microgpt_cli.terminal.help import examples

if TYPE_CHECKING:
    from microgpt import InferenceGpt, SavedModel

Fault = Callable[[str], object]  # returns a true value for an unwanted sample

MAX_DRAWS = 10_000  # number of consecutive unwanted samples after which `generate` stops


@examples("microgpt generate names em -n 5")
def generate(
    words: list[str] | None = opt.argument(
        None, f"{opt.MODEL_THEN} a prompt with which every sample starts.", "[MODEL] [PROMPT]"
    ),
    model_dir: Path | None = opt.MODEL_OR_OUTPUT,
    num_samples: int = opt.option(20, "Number of samples.", "--num-samples", "-n"),
    max_tokens: int | None = opt.option(
        None, "Maximum number of new tokens.  [default: the longest training text, or the context]"
    ),
    matches: str | None = opt.option(
        None, "Skip samples that do not match this pattern as a whole.", metavar="<regex>"
    ),
    unique: bool = opt.flag("--unique", "Skip repeated samples."),
    novel: bool = opt.flag("--novel", "Skip samples that occur in the training data."),
    seed: str = opt.seed_option("sample"),
    never: Path | None = opt.option(None, "Skip samples that contain a line of this file."),
    temperature: float | None = opt.sampling_option(
        "temperature", usual="0.5; for long texts: 0.8; for sequences of capital letters: 1"
    ),
    top_k: int | None = opt.sampling_option("top_k"),
    top_p: float = opt.sampling_option("top_p"),
    min_p: float = opt.sampling_option("min_p"),
    threads: int = opt.THREADS,
    as_json: bool = opt.AS_JSON,
) -> None:
    """Print samples from a model.

    The same seed gives the same samples. --matches, --unique, --novel and --never continue with
    more seeds until there are enough samples, but stop after skipping 10,000 consecutive samples.
    If training documents were longer than the context, samples can be, too.
    """
    texts, model_dir = opt.texts_and_model(words, model_dir)
    prompt, model_dir = opt.one_text(texts) or "", model_dir or opt.DEFAULT_MODEL_DIR
    given = Sampling.temperature if temperature is None else temperature
    sampling, first_seed = Sampling(given, top_k, top_p, min_p), opt.seed_of(seed)
    checked("--num-samples (-n)", num_samples, int)
    faults, seen = list[Fault](), set[str]()
    if unique:
        faults.append(seen.__contains__)
    if matches is not None:
        faults.append(_mismatch(matches))
    if never is not None:
        faults.append(words_of(never).search)

    from microgpt_cli.model_loading import inference, load_model
    from microgpt_cli.samples import note_faults, usual_length, usual_temperature

    saved = load_model(model_dir)
    if novel:
        faults.append(_training_hashes(saved, model_dir).__contains__)
    model = inference(saved, ["generation"])
    _note_odd_use(model, model_dir, prompt)
    if temperature is None and given != (usual := usual_temperature(saved)):
        sampling = replace(sampling, temperature=usual)
        note(f"--temperature {usual:g}, which suits this kind of text")
    max_tokens = usual_length(saved) if max_tokens is None else max_tokens
    settings = {**asdict(sampling), "max_tokens": max_tokens, "seed": first_seed}
    drawn = model.samples(
        None if faults else num_samples, prompt=prompt, threads=threads, **settings
    )
    shown = []
    for text in islice(_without_faults(drawn, faults) if faults else drawn, num_samples):
        shown.append(text)
        seen.add(text)
        if not as_json:
            print(f"sample {len(shown):2d}: {terminal_safe(text)}")
    if as_json:
        print(json.dumps({"samples": shown}))
    sys.stdout.flush()
    n_given = len(prompt) if max_tokens else 0  # max_tokens counts only what follows the prompt
    note_faults([text[n_given:] for text in shown], saved, max_tokens)
    if seed == str(DEFAULT_SEED) and sampling.temperature and sys.stderr.isatty():
        note("the next run prints the same samples; for others, use --seed random")


def words_of(file: Path) -> re.Pattern[str]:
    """Return a pattern that matches any line of a file as whole words, ignoring case."""
    from microgpt import LINE, ReadOptions, load_documents

    lines = load_documents(file, ReadOptions(separator=LINE))
    words = "|".join(re.escape(str(line)) for line in lines)
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


def _note_odd_use(model: "InferenceGpt", directory: Path, prompt: str) -> None:
    """Print a note if the model is a chat model, or if the prompt is longer than the context."""
    from microgpt import as_argument

    if model.tokenizer.is_chat:
        note(
            "this model was trained only to reply, not to start a conversation; use: "
            f"microgpt chat --model {as_argument(directory)}"
        )
    if dropped := model.text_job(prompts=[prompt]).tokens_dropped:
        note(f"the prompt does not fit into the context; its first {dropped} tokens are ignored")


def _mismatch(pattern: str) -> Fault:
    """Return a function that tests whether a text fails to match a pattern as a whole."""
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            compiled = re.compile(pattern)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        # OverflowError, RecursionError: the pattern is too large or too deeply nested.
        problem = f"{pattern!r:.80} is not a regular expression: {printable(str(error))}"
        raise ConfigError(f"--matches {problem}") from error
    return lambda text: not compiled.fullmatch(text)


def _without_faults(samples: Iterable[str], faults: Sequence[Fault]) -> Iterator[str]:
    """Yield the samples without a fault; stop after MAX_DRAWS consecutive faulty samples."""
    n_found = n_skipped = 0
    for text in samples:
        if not any(has_fault(text) for has_fault in faults):
            n_found, n_skipped = n_found + 1, 0
            yield text
            continue
        n_skipped += 1
        if n_skipped == MAX_DRAWS:
            note(f"stopped after {n_found} samples, because {MAX_DRAWS:,} in a row were skipped")
            return


def _training_hashes(saved: "SavedModel", directory: Path) -> Container[str]:
    """Return hashes of the documents on which a model and its ancestors were trained."""
    from microgpt import read_document_hashes

    trained = read_document_hashes(directory, saved)
    if trained is None:
        raise ConfigError(
            f"{directory} does not record all documents that it was trained on; omit --novel"
        )
    return trained
