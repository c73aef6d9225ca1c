"""How many hidden units of a model are active: a unit that never is has stopped to learn."""

from collections.abc import Sequence

from microgpt import Document, Gpt, TrainedModel, count_params, linear

# Tokens to read, for an idea of the mean, and operations that take about as long as the files.
MAX_TOKENS, MAX_WORK = 24, 200_000
FEW = 1 / 16  # a smaller share is worth a note; Karpathy's 1,000 steps leave 1/8


class _Watched(Gpt[float]):
    """A model that counts its active hidden units."""

    n_tokens, n_active = 0, 0

    def mlp(self, x: list[float], layer: int) -> list[float]:
        """Apply the MLP, and count the hidden units that are not 0."""
        hidden = linear(x, self.weights[f"layer{layer}.mlp_fc1"])
        self.n_active += sum(h > 0 for h in hidden)
        self.n_tokens += 1
        return super().mlp(x, layer)


def note_on_units(trained: TrainedModel, docs: Sequence[Document]) -> str | None:
    """Return a note if few hidden units of Karpathy's architecture are active, on documents."""
    n_left = min(MAX_TOKENS, MAX_WORK // count_params(trained.model))
    if not trained.model.is_karpathys or not n_left:
        return None
    watched = _Watched(trained.model, trained.weights)
    for doc in docs:
        cache = watched.new_cache()
        for token in trained.tokenizer.encode_document(doc)[
            : min(n_left, trained.model.block_size)
        ]:
            watched.forward(token, cache)
            n_left -= 1
        if not n_left:
            break
    n_hidden = trained.model.n_ff_exp * trained.model.n_embd
    mean = watched.n_active / max(1, watched.n_tokens)
    if not watched.n_tokens or mean >= FEW * n_hidden:
        return None
    return (
        f"of {n_hidden} hidden units, {mean:.2g} are active on average; a lower --learning-rate "
        "keeps more"
    )
