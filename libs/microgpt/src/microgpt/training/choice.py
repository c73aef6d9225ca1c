"""Choose the model and the training settings that fit the documents and a budget of operations.

The rule was fitted to several hundred training runs with random settings on twelve texts.
docs/measurements/choice.md describes the runs and the quality of the rule. The fitting script was
bench/studies/fit_choice.py, removed after commit a922fbb8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import lcm
from typing import NamedTuple

from microgpt.config import MUON_LR_RATIO, EngineName, Given, ModelConfig, TextKind, TrainConfig
from microgpt.data.split import Split
from microgpt.data.statistics import Sizes, is_prose, measure
from microgpt.data.tokenizer import Document, Tokenizer, all_texts
from microgpt.settings import with_given
from microgpt.training.operations import held_out_operations, step_operations
from microgpt.training_state import Ensemble

# The `fingerprint` of the bundled names.txt, which is Karpathy's dataset.
NAMES_SHA256 = "816d2a728695db28a20e17eae61c9c423091a511b3df09a06a489dccbf0876c7"
# The default number of operations, which take a minute on one core of an AMD EPYC (Zen 5).
DEFAULT_BUDGET: Mapping[EngineName, float] = {"compiled": 1e13, "reference": 1e9}
# `readable` keeps up to max(MIN_READ, READ * (budget / 1e13) ** READ_POWER) training characters.
READ, READ_POWER, MIN_READ, PART = 2**23, 0.5, 2**21, 2**12  # PART: characters per kept passage
MAX_CONTEXT = 256  # maximum context length; longer documents are split into windows
SHARE_THAT_FITS = 0.99  # minimum fraction of the documents that fit into the context
MAX_HELD_OUT = 40_000  # maximum number of characters in each held-out set
EVALUATION_SHARE = 0.05  # maximum fraction of the operations to spend on evaluations
USEFUL, USEFUL_POWER, MIN_USEFUL = 1e13, 1.5, 1e11
WIDTH, WIDTH_POWER = 55, 0.2  # n_embd for 1e12 operations; it grows as operations**WIDTH_POWER
WIDTH_PER_LAYER = 30
TOKENS, TOKENS_POWER = 600, 0.3  # tokens per step for 1e12 operations, and growth exponent
LR, LR_POWER = 0.004, 0.1  # learning rate for 1e12 operations; it grows as operations**LR_POWER
WEIGHT_DECAY = 0.05
DROPOUT = 0.2  # dropout if all useful operations are used; with fewer, proportionally lower
VOCABULARY, VOCABULARY_POWER = 1800, 0.25  # vocab_size for 1e12 operations, and growth exponent
MIN_CHARACTERS_PER_SUBWORD = 400  # minimum characters of text per entry of the BPE vocabulary
VOCABULARIES = (384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
# Fine-tuning makes up to TUNING_PASSES passes over the data, or TUNING_STEPS steps if that is more
# (bench/studies/fine_tuning.py, removed after commit a922fbb8).
TUNING_PASSES, TUNING_STEPS, TUNING_DROPOUT = 20, 200, 0.1
TUNING_RATE = 0.5  # factor of the learning rate in fine-tuning: trained weights need small changes
WARMUP = 30  # the learning rate rises during the first 1/30 of the steps


class Choice(NamedTuple):
    """Settings that suit the documents and a budget, and the cost of the training run."""

    model: ModelConfig
    config: TrainConfig  # the student's settings, if there is an ensemble
    tokenizer: Tokenizer
    sizes: Sizes  # sizes of the training set
    operations: float = 0.0  # cost of all training, including evaluations
    budget: float | None = None  # number of operations to use; None for Karpathy's settings
    is_limited: bool = False  # whether the data are too small to use the whole budget
    vocab_size: int | None = None  # requested size of the BPE vocabulary; None for characters
    operations_per_s: float | None = None  # training speed, measured if there is a time limit
    ensemble: Ensemble | None = None


def held_out_fraction(n_characters: int) -> float:
    """Return the default fraction of the documents to hold out for validation and for testing."""
    return min(0.1, MAX_HELD_OUT / max(1, n_characters))


def choose_vocabulary(docs: Sequence[Document], budget: float) -> int | None:
    """Return the size of the BPE vocabulary that suits the documents, or None for characters.

    Subwords suit prose and source code, whose words are repeated. They do not suit lists of
    different words, or notations such as arithmetic or music, at any vocabulary size. Conversations
    are encoded as characters: with subwords, a model cannot spell or read typing errors.
    """
    wanted = VOCABULARY * (budget / 1e12) ** VOCABULARY_POWER
    useful = sum(map(len, all_texts(docs))) / MIN_CHARACTERS_PER_SUBWORD
    size = max((each for each in VOCABULARIES if each <= min(wanted, useful)), default=0)
    return size if size and all(isinstance(doc, str) for doc in docs) and is_prose(docs) else None


def choose(
    sets: Split,
    tokenizer: Tokenizer,
    budget: float,
    *,
    text: TextKind,
    given: Given,
    parent: ModelConfig | None = None,
) -> Choice:
    """Return the settings that are expected to give the lowest held-out loss.

    The choice depends only on the documents, the budget, the given settings and the parent's shape.
    """
    sizes = measure(sets.train, tokenizer, text)
    limit = useful_operations(sizes)
    useful = min(budget, limit)
    unit = lcm(8, 2 * given.get("n_head", ModelConfig.n_head))  # so that head_dim is even
    width = unit * max(1, round(WIDTH * (useful / 1e12) ** WIDTH_POWER / unit))
    model = parent or _model(width, _context(sizes, text), given)
    model = replace(model, vocab_size=tokenizer.vocab_size)
    length = sizes.chunk_length(model.block_size)
    config = _config(length, useful, text, given)
    per_step = step_operations(model, config, length)
    if parent:
        pass_steps = sizes.n_tokens / (config.batch_size * length)
        limit = per_step * max(TUNING_STEPS, TUNING_PASSES * pass_steps)
        useful = min(budget, limit)
    held_out = held_out_operations(sets.validation, model, tokenizer, text)
    evaluations = config.evaluations
    if held_out:
        evaluations = max(1, min(evaluations, int(EVALUATION_SHARE * useful / held_out)))
    spent = held_out * (evaluations + 1)  # one more evaluation for the test set
    steps = given.get("steps", max(1, int((useful - spent) / per_step)))
    used = min(steps * per_step, limit) if "steps" in given else useful
    found = {
        "steps": steps,
        "evaluations": evaluations,
        "warmup_steps": steps // WARMUP,
        "lr": (TUNING_RATE if parent else 1.0) * config.initial_lr,
        "dropout": TUNING_DROPOUT if parent else round(DROPOUT * used / limit, 2),
    }
    config = with_given(config, {**found, **given})
    is_limited = limit < budget and "steps" not in given
    operations = steps * per_step + spent
    whole = float(f"{operations:.2g}") if "steps" in given else budget
    return Choice(model, config, tokenizer, sizes, operations, whole, is_limited)


def readable(sets: Split, budget: float | None) -> Split:
    """Reduce the training set of a split so that a run with the given budget uses about half of it.

    Without held-out documents, return the split unchanged: its hash must cover all documents.
    """
    train, most = sets.train, max(MIN_READ, READ * ((budget or 0) / 1e13) ** READ_POWER)
    every = 1 + int(sum(map(len, all_texts(train))) // most)
    if every == 1 or not budget or not sets.val_fraction + sets.test_fraction:
        return sets
    if sets.gap is None:
        return replace(sets, train=train[::every], every=every)
    parts = [text[i : i + PART] for text in train for i in range(0, len(text), every * PART)]
    return replace(sets, train=parts, every=every)


def useful_operations(sizes: Sizes) -> float:
    """Return the number of operations beyond which training no longer lowers the held-out loss."""
    useful: float = USEFUL * (sizes.n_tokens / 150_000) ** USEFUL_POWER
    return max(MIN_USEFUL, useful)


def _model(width: int, context: int, given: Given) -> ModelConfig:
    """Return a model shape with the given n_embd or else `width`; vocab_size is set later."""
    width = given.get("n_embd", width)
    is_even = width % (2 * given.get("n_head", ModelConfig.n_head)) == 0  # whether head_dim is even
    rule = {
        "n_layer": max(2, round(width / WIDTH_PER_LAYER)),
        "block_size": context,
        "architecture": "modern" if is_even else "karpathy",
    }
    return with_given(ModelConfig(), {"n_embd": width, **rule, **given, "vocab_size": 0})


def _config(length: float, useful: float, text: TextKind, given: Given) -> TrainConfig:
    """Return the training settings, except the steps, for chunks of the given mean length."""
    lr = given.get("lr") or float(f"{LR * (useful / 1e12) ** LR_POWER:.2g}")
    n_tokens = given.get("n_tokens") or TOKENS * (useful / 1e12) ** TOKENS_POWER  # per step
    rule = {
        "batch_size": max(1, round(n_tokens / length)),
        "lr": lr,
        "optimizer": "muon",
        "weight_decay": WEIGHT_DECAY if WEIGHT_DECAY * MUON_LR_RATIO * lr <= 1 else 0.0,
    }
    return with_given(TrainConfig(), {**rule, **given, "text": text})


def config_for_operations(
    config: TrainConfig, model: ModelConfig, operations: float, length: float
) -> TrainConfig:
    """Return settings with the steps that `operations` allow, in multiples of `evaluations`."""
    steps = max(1, int(operations / step_operations(model, config, length)))
    steps = max(steps - steps % config.evaluations, min(steps, config.evaluations))
    return replace(config, steps=steps, warmup_steps=steps // WARMUP)


def _context(sizes: Sizes, text: TextKind) -> int:
    """Return 128 for running text, otherwise a context length into which most documents fit."""
    if text == "stream":
        return 128
    context = 16
    while context < min(sizes.quantile(SHARE_THAT_FITS), MAX_CONTEXT):
        context *= 2
    return context
