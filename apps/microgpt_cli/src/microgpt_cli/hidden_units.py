"""Count the active hidden units of a model: a unit that is never active cannot learn."""

from collections.abc import Sequence
from itertools import islice

from microgpt import Document, Gpt, TrainedModel, count_params, linear

# Maximum number of tokens (enough for a mean), and maximum of n_tokens * n_params (saves time).
MAX_TOKENS, MAX_WORK = 24, 200_000
MIN_SHARE = 1 / 16  # active fraction of units below which a note is printed (Karpathy's run: 1/8)


class _Watched(Gpt[float]):
    """A model that counts its active hidden units."""

    n_tokens, n_active = 0, 0

    def mlp(self, x: list[float], layer: int) -> list[float]:
        """Apply the MLP, and count the hidden units that are active."""
        self.n_active += sum(h > 0 for h in linear(x, self.weights[f"layer{layer}.mlp_fc1"]))
        self.n_tokens += 1
        return super().mlp(x, layer)


def note_on_units(trained: TrainedModel, docs: Sequence[Document]) -> str | None:
    """For Karpathy's architecture, return a note if few hidden units are active on documents."""
    config = trained.model
    n_tokens = min(MAX_TOKENS, MAX_WORK // count_params(config))
    if not (n_tokens and config.is_karpathys):
        return None
    watched, encode = _Watched(config, trained.weights), trained.tokenizer.encode_document
    read = ((watched.new_cache(), encode(doc)[: config.block_size]) for doc in docs)
    for token, cache in islice(((token, cache) for cache, doc in read for token in doc), n_tokens):
        watched.forward(token, cache)
    n_hidden = config.n_ff_exp * config.n_embd
    mean = watched.n_active / watched.n_tokens
    if mean >= MIN_SHARE * n_hidden:
        return None
    active = f"of {n_hidden} hidden units, {mean:.2g} are active on average"
    return f"{active}; a lower --learning-rate keeps more active"
