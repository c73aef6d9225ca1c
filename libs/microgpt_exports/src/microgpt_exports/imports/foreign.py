"""Recognise checkpoints of architectures that are not microgpt's, by the names of their tensors."""

import re
from collections.abc import Collection
from pathlib import Path

from microgpt import CheckpointError

# A name that a family of programs gives to a tensor, the programs, and what does not fit.
FAMILIES = (
    (r"attn\.c_attn\.weight$", "nanoGPT, minGPT, makemore or GPT-2",
     "GELU, LayerNorm, and no RMSNorm after the embeddings"),
    (r"attn\.c_q\.weight$", "nanochat or modded-nanogpt",
     "logits that tanh limits, or another scale of queries and keys"),
    (r"mlp\.act_fn\.alpha_p$", "transformers",
     "the settings are in config.json: import the directory"),
    (r"mlp\.gate_proj\.weight$", "the Llama family",
     "a gated MLP, and no RMSNorm after the embeddings"),
)  # fmt: skip
BIASES = r"(attn|mlp|ln_\w+)(\.\w+)?\.bias$"
MASKS = r"attn\.(masked_)?bias$"  # buffers of GPT-2 and its descendants


def check_names(names: Collection[str], path: Path) -> None:
    """Raise CheckpointError with the reason if tensors with these names are not supported."""
    for pattern, program, reason in FAMILIES:
        if any(re.search(pattern, name) for name in names):
            has_biases = any(re.search(BIASES, n) and not re.search(MASKS, n) for n in names)
            what = f"biases, {reason}" if has_biases else reason
            raise CheckpointError(
                f"{path} is a checkpoint of {program}, which does not fit microgpt's architecture: "
                f"it has {what}"
            )
