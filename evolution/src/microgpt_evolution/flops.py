"""The floating-point operations of a training."""

from microgpt.config import ModelConfig
from microgpt.model import count_params


def training_flops(model: ModelConfig, *, n_docs: int, n_tokens: int) -> int:
    """Return the operations of a training that predicts n_tokens in n_docs documents of one length.

    Each weight of a matrix takes 2 operations per token forward and 4 backward (Kaplan et al. 2020,
    table 1); wte and wpe are looked up. The attention at position t takes 4 n_embd (t + 1)
    operations per layer forward, and thrice that with backward (Chowdhery et al. 2022, appendix B,
    without the later keys).
    """
    looked_up = (model.vocab_size + model.block_size) * model.n_embd
    matrices = 6 * (count_params(model) - looked_up) * n_tokens
    mean_keys = (n_tokens / n_docs + 1) / 2
    return matrices + round(12 * model.n_layer * model.n_embd * mean_keys * n_tokens)
