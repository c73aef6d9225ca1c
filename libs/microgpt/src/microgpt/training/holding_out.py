"""Hold out documents: as the options specify, as in an earlier training run, or by default."""

from collections.abc import Sequence

from microgpt.compilation import Tell
from microgpt.data.contamination import recorded_facts
from microgpt.data.split import DataFacts, Split, split, split_stream
from microgpt.data.tokenizer import Documents, count_characters
from microgpt.errors import ConfigError, DataError
from microgpt.training.choice import MAX_CONTEXT, held_out_fraction
from microgpt.training.options import TrainOptions

CHARACTERS_PER_SUBWORD = 4  # upper estimate for English; sets the gap between splits
FRACTIONS = {"val_fraction": "validation", "test_fraction": "testing"}


def recorded_split(
    docs: Documents, read: Sequence[DataFacts | None], options: TrainOptions
) -> TrainOptions:
    """Return the split options of an earlier training run on these documents, if any."""
    facts = recorded_facts([docs] if isinstance(docs, str) else docs, read)
    is_other = facts and facts.gap is not None and not isinstance(docs, str)  # read as lines now
    if not facts or is_other or all(name in options for name in FRACTIONS):
        return TrainOptions()
    found = TrainOptions(val_fraction=facts.val_fraction, test_fraction=facts.test_fraction)
    joined = options.over(found)
    if joined.val_fraction or joined.test_fraction:
        found = TrainOptions.of({"gap": facts.gap}).over(found)
    return found


def hold_out(docs: Documents, options: TrainOptions, tell: Tell) -> Split:
    """Split documents according to the options or their defaults.

    With --minutes or --budget, the default is to hold out some documents if there are enough.
    """
    if not options.has_budget:
        return _split(docs, options)
    texts = [docs] if isinstance(docs, str) else docs
    fraction = held_out_fraction(sum(map(count_characters, texts)))
    default = TrainOptions(val_fraction=fraction, test_fraction=fraction)
    try:
        return _split(docs, options.over(default))
    except (ConfigError, DataError) as error:
        uses = [use for name, use in FRACTIONS.items() if name not in options]
        parts = _split(docs, options)  # fails if a fraction of the user does
        if options.from_ and not parts.validation:  # nothing says when the model has learned enough
            raise DataError(f"{error}, or use --steps instead of --minutes or --budget") from error
        tell(f"nothing is held out for {' or '.join(uses)} by default: {error}")
        return parts


def _split(docs: Documents, options: TrainOptions) -> Split:
    """Split documents according to the options."""
    gap = options.gap  # unused characters around a held-out stretch of running text
    if gap is None and "block_size" in options:
        gap = options.block_size * (CHARACTERS_PER_SUBWORD if options.tokenizer == "bpe" else 1)
    elif gap is None:  # the context is chosen after the split
        gap = MAX_CONTEXT
    return split_documents(docs, options.val_fraction, options.test_fraction, gap)


def split_documents(docs: Documents, validation: float, test: float, gap: int) -> Split:
    """Split documents by hash, or running text by position."""
    if isinstance(docs, str):
        return split_stream(docs, validation=validation, test=test, gap=gap)
    return split(docs, validation=validation, test=test)
