"""Number of floating-point operations (FLOPs) of a training run."""

from microgpt.config import ModelConfig


def training_flops(model: ModelConfig, *, n_docs: int, n_tokens: int) -> int:
    """Return the number of FLOPs to train on n_docs documents of equal length, n_tokens in total.

    Each matrix weight takes 2 FLOPs per token in the forward pass and 4 in the backward pass
    (Kaplan et al. 2020, table 1); wte and wpe are lookups. Attention at position t takes
    4 n_embd (t + 1) FLOPs per layer in the forward pass and twice as many in the backward pass
    (Chowdhery et al. 2022, appendix B; only the keys up to t are counted).
    """
    block = (4 + 2 * model.n_ff_exp) * model.n_embd**2
    matrices = 6 * (model.n_layer * block + model.vocab_size * model.n_embd) * n_tokens
    mean_keys = (n_tokens / n_docs + 1) / 2
    return matrices + round(12 * model.n_layer * model.n_embd * mean_keys * n_tokens)
