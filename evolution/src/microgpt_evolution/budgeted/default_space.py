"""The default space of a search with a budget."""

from collections.abc import Mapping
from typing import Any

from microgpt.config import TextKind
from microgpt.training.choice import CHARACTERS_PER_SUBWORD, MAX_CONTEXT, VOCABULARIES
from microgpt_evolution.budgeted.genome import BudgetedGenome
from microgpt_evolution.space import Space

# Values of each gene, in ascending order. The context and the size of the vocabulary depend
# on the documents.
VALUES: Mapping[str, tuple[Any, ...]] = {
    "n_embd": (16, 24, 32, 40, 48, 56, 64, 72, 80, 96, 112, 128, 160, 192, 224, 256),
    "n_layer": (1, 2, 3, 4, 5, 6, 8),
    "n_head": (1, 2, 4, 8),
    "n_ff_exp": (1, 2, 3, 4, 6, 8),
    "n_tokens": (125, 180, 250, 350, 500, 700, 1000, 1400, 2000, 2800, 4000, 5600, 8000),
    "lr": (0.0005, 0.0007, 0.001, 0.0014, 0.002, 0.0028, 0.004, 0.0056, 0.008, 0.011, 0.016, 0.022),
    "optimizer": ("muon", "adamw"),
    "weight_decay": (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4),
    "dropout": (0.0, 0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45),
    "average_tail": (0.0, 0.1, 0.2, 0.3, 0.5),
    "positions": ("learned", "rotary"),
    "token_shift": (False, True),
    "activation": ("relu", "relu2"),
    "qk_norm": (False, True),
    "final_norm": (False, True),
    "out_scale": (0.1, 0.3, 1.0),
}
# Relative probability that a gene mutates; 1 for the others. The values that the rule gives these
# were better in most cases (docs/quality.md), so few mutations should try others.
RATES: Mapping[str, float] = {
    "optimizer": 0.1, "positions": 0.1, "token_shift": 0.1, "activation": 0.1, "qk_norm": 0.1,
    "final_norm": 0.1, "out_scale": 0.2,
}  # fmt: skip


def space_for(rule: BudgetedGenome, text: TextKind, n_characters: int) -> Space:
    """Return the default space for documents.

    Args:
        rule: genome that the rule of `train --minutes` chooses.
        n_characters: number of characters in the training set.
    """
    context = rule.block_size
    contexts = (32, 64, 128, 256) if text == "stream" else (context // 2, context, 2 * context)
    values = {**VALUES, "block_size": tuple(n for n in contexts if 8 <= n <= MAX_CONTEXT)}
    if rule.vocab_size is not None:  # otherwise, subwords do not suit the documents
        most = n_characters / CHARACTERS_PER_SUBWORD
        values["vocab_size"] = (None, *(size for size in VOCABULARIES if size <= most))
    return Space(values, RATES)
