"""A hypothesis strategy for the shapes of small models."""

from typing import get_args

from hypothesis import strategies as st

from microgpt import ModelConfig
from microgpt.config import Architecture


@st.composite
def shapes(
    draw, *, max_head_dim: int = 6, max_block_size: int = 20, max_vocab_size: int = 9
) -> ModelConfig:
    """Draw the shape of a small model; with rotary positions, n_embd is a multiple of 2 n_head."""
    architecture, n_head = draw(st.sampled_from(get_args(Architecture))), draw(st.integers(1, 4))
    least = 1 if architecture == "karpathy" else 2  # rotary positions need an even head_dim
    return ModelConfig(
        n_embd=n_head * least * draw(st.integers(1, max_head_dim // least)),
        n_head=n_head,
        n_layer=draw(st.integers(1, 3)),
        block_size=draw(st.integers(1, max_block_size)),
        n_ff_exp=draw(st.integers(1, 5)),
        vocab_size=draw(st.integers(2, max_vocab_size)),
        init_std=0.4,
        architecture=architecture,
    )
