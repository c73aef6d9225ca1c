"""Explain a choice of settings, and give advice, in lines for the user."""

from collections.abc import Iterator
from itertools import chain

from microgpt.amounts import count, duration, in_short
from microgpt.data.split import Split
from microgpt.data.tokenizer import Tokenizer, texts_of
from microgpt.model_config import count_params
from microgpt.training.fitting import Fitted
from microgpt.training.options import TrainOptions

FEW_CONVERSATIONS = 100  # if there are fewer, to learn all of them for longer gives better replies
LONGER_STEPS = 2000  # for few conversations; see docs/own_text.md
LEARN_ALL = f"--steps {LONGER_STEPS} --val-fraction 0"


def describe_subwords(parts: Split, tokenizer: Tokenizer, vocab_size: int) -> Iterator[str]:
    """Yield the size of a BPE tokenizer and the length of its tokens."""
    texts = list(chain.from_iterable(map(texts_of, parts.train)))
    n_characters, n_tokens = sum(map(len, texts)), sum(map(tokenizer.count, texts))
    yield (
        f"trained a BPE tokenizer on {n_characters} characters: {tokenizer.vocab_size} tokens, "
        f"{n_characters / n_tokens:.2f} characters per token on average"
    )
    if tokenizer.vocab_size < vocab_size:
        yield (
            f"the vocabulary has fewer than {vocab_size} tokens, because no other pair of "
            "tokens occurs twice"
        )


def explain(fitted: Fitted) -> tuple[str, ...]:
    """Return two lines, the chosen settings and the reasons; none for Karpathy's settings."""
    if fitted.budget is None:
        return ()
    choice, sizes, speed = fitted.choice, fitted.sizes, fitted.operations_per_s
    model, config, is_stream = choice.model, choice.config, choice.config.text == "stream"
    spent = in_short(fitted.budget)
    limited = f"{in_short(choice.operations, 2)} of {spent}" if choice.is_limited else spent
    subwords = ""
    if fitted.vocab_size is not None:
        length = sizes.n_characters / sizes.n_tokens
        subwords = f"{model.vocab_size:,} subwords of {length:.1f} characters, "
    is_cut = is_stream or sizes.lengths[-1] > model.block_size
    chosen = (
        f"{limited} operations: {count(model.n_layer, 'layer')} of width {model.n_embd}, "
        f"{subwords}context {model.block_size}, {count(config.steps, 'step')} of "
        f"{count(config.batch_size, 'chunk' if is_cut else 'document')}, dropout "
        f"{config.dropout:g} ({count_params(model):,} weights)"
    )
    n, mean = sizes.n_docs, sizes.n_characters / sizes.n_docs
    text = "of running text" if is_stream else f"in {count(n, 'document')} of {mean:,.0f}"
    n_times = f"{fitted.n_passes:.2g}" if fitted.n_passes < 9.95 else f"{fitted.n_passes:,.0f}"
    why = f"why: {sizes.n_characters:,} characters {text}, read {n_times} times"
    budget = f"{spent} operations"
    if speed:
        budget, training = (duration(each / speed) for each in (fitted.budget, choice.operations))
        seconds = f"about {training}" if choice.is_limited else f"the {budget} that remain"
        why += f" in {seconds} ({in_short(speed, 2)} operations per second)"
    if choice.is_limited:
        why += f"; the data are too small for {budget}, so training ends early"
    return chosen, why


def advice(n: int, tokenizer: Tokenizer, options: TrainOptions) -> tuple[str, ...]:
    """Return a line about the options for few conversations; none if they do not apply."""
    if not (tokenizer.is_chat and n < FEW_CONVERSATIONS) or "steps" in options:
        return ()
    limits = [f" without --{name}" for name in ("minutes", "budget") if name in options]
    return (
        f"{count(n, 'conversation')} are few, so the replies may be poor; to learn all of them "
        f"for longer, use {LEARN_ALL}{''.join(limits)}",
    )
