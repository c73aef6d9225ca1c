"""The cost of a training run in operations, which is proportional to its time on any machine."""

from microgpt.config import ModelConfig, TrainConfig
from microgpt.model_config import count_params
from microgpt.newton_schulz import N_ITERATIONS

# A floating-point operation of a matrix product counts as one operation. Other work is counted by
# its time relative to that of a matrix product, as measured for 80 shapes on an AMD EPYC (Zen 5)
# (`bench/studies/operations.py`).
ATTENTION = 2.0  # per floating-point operation in attention
ELEMENTS = 20_000  # per token and layer: normalization, activation, residual connections
SOFTMAX = 40  # per token and entry of the vocabulary
OPTIMIZER = 20  # per weight and step
MUON = 0.7  # per floating-point operation of Muon
STEP = 5e6  # per step


def step_operations(model: ModelConfig, config: TrainConfig, length: float) -> float:
    """Return the cost of a training step in operations.

    A matrix weight takes 2 operations per token in the forward pass and 4 in the backward pass
    (Kaplan et al. 2020, table 1), and so does each pair of numbers in attention.

    Args:
        model: model shape, including the size of the vocabulary.
        config: training settings; only the batch size and the optimizer matter.
        length: mean number of predicted tokens per document or chunk.
    """
    C, L, V = model.n_embd, model.n_layer, model.vocab_size
    n_tokens = config.batch_size * length
    products = 6 * (L * (4 + 2 * model.n_ff_exp) * C**2 + V * C)
    attention = ATTENTION * 6 * L * C * (length + 1)
    operations = n_tokens * (products + attention + ELEMENTS * L + SOFTMAX * V)
    operations += OPTIMIZER * count_params(model) + STEP
    if config.optimizer == "muon":
        operations += MUON * L * _orthogonalization(C, model.n_ff_exp)
    return operations


def evaluation_operations(model: ModelConfig, length: float, n_tokens: float) -> float:
    """Return the cost of computing the loss of n_tokens tokens, a third of that of training."""
    config = TrainConfig(batch_size=1)
    fixed = OPTIMIZER * count_params(model) + STEP
    return (step_operations(model, config, length) - fixed) / 3 * n_tokens / length


def _orthogonalization(C: int, n_ff_exp: int) -> float:
    """Return the floating-point operations of Muon for the six matrices of a block."""
    square, tall = 6 * C**3, (4 * n_ff_exp + 2) * C**3
    return float(N_ITERATIONS * (4 * square + 2 * tall))
