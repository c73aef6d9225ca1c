"""The floating-point operations of a training."""

from microgpt.config import ModelConfig
from microgpt.model import count_params


def training_flops(model: ModelConfig, *, n_docs: int, n_tokens: int) -> int:
    """Return the operations of a training.

    A weight of a matrix multiplies once a token: 2 operations forward, 4 backward (Kaplan et al.
    2020, table 1). That leaves out wte and wpe, which are looked up. In attention the token at
    position t meets t + 1 keys and as many values, of n_embd numbers each: 4 n_embd (t + 1) forward
    and thrice that with backward (Chowdhery et al. 2022, appendix B, who count the keys that come
    later, too).

    Args:
        model: its shape, with its vocabulary.
        n_docs: the documents that are read; they are taken to be of one length.
        n_tokens: those that are predicted in them.
    """
    looked_up = (model.vocab_size + model.block_size) * model.n_embd
    matrices = 6 * (count_params(model) - looked_up) * n_tokens
    mean_keys = (n_tokens / n_docs + 1) / 2
    return matrices + round(12 * model.n_layer * model.n_embd * mean_keys * n_tokens)
