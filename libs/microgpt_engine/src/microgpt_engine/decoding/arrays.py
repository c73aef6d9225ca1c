"""Arrays of a decoder.

Layout: rows. In the KV cache, keys are stored in blocks of one vector of tokens, with one row per
feature, and values with one row per token. See docs/engine.md#decoding.
Shapes: C = n_embd, V = vocab_size, L = n_layer, H = n_head, T = block_size, N = rows,
n = sequences.
"""

from typing import Annotated, NamedTuple

from microgpt import ModelConfig
from microgpt_engine.processor import lanes_of
from microgpt_engine.weights import Array, aligned_zeros, allocated, padded

# Status of a sequence. STOPPED: a stop token was sampled. FULL: the maximum length is reached.
# BROKEN: a logit is not finite. STUCK: all tokens are forbidden.
RUNNING, STOPPED, FULL, BROKEN, STUCK = range(5)
FREE, STOP, FORBIDDEN, NO_RULE = range(4)  # sampling rules; barred=NO_RULE excludes no tokens


class KVCache(NamedTuple):
    """KV cache of several sequences, with one slot per sequence."""

    keys: Array  # (slots, L, n_head * token blocks * D, lanes)
    values: Array  # (slots, L, vectors per token * T, lanes)
    mlp_in: Array  # (slots, L, C // 2), of the last token only, for token shift


def allocate_cache(model: ModelConfig, dtype: str, n_slots: int) -> KVCache:
    """Return a zero-filled cache for n_slots concurrent sequences."""
    L, T, C, n = model.n_layer, model.block_size, model.n_embd, lanes_of(dtype)
    n_blocks = padded(T, dtype) // n
    return KVCache(
        keys=aligned_zeros((n_slots, L, n_blocks * C, n), dtype),
        values=aligned_zeros((n_slots, L, padded(C, dtype) // n * T, n), dtype),
        mlp_in=aligned_zeros((n_slots, L, C // 2), dtype),
    )


class Sequences(NamedTuple):
    """The state of all sequences of a decoder, indexed by sequence number."""

    tokens: Array  # (n, maximum length), prompt, new tokens and stop token, if any
    n_prompt: Array  # (n), number of prompt tokens
    n_tokens: Array  # (n), current number of tokens, without a stop token
    first: Array  # (n), start of the context; advances when the context is full
    n_read: Array  # (n), index of the next token to read into the cache
    goals: Array  # (n), number of tokens at which a sequence is FULL
    status: Array  # (n)
    uniforms: Array  # (n, maximum number of new tokens), random numbers in [0, 1)
    slots: Array  # (slots), sequence in each slot of the cache; -1 if the slot is empty
    n_started: Array  # (1), number of sequences started so far
    rules: Array  # (V), sampling rule of each token; see `sample`
    barred: int  # `barred` argument of `sample` after the first min_tokens new tokens
    min_tokens: int  # minimum number of new tokens before a stop token
    temperature: float  # see `config.Sampling`
    top_k: int  # 0 disables top-k filtering
    top_p: float
    min_p: float


class Rows(NamedTuple):
    """Activations of the tokens in a decoding step; rows are padded to whole vectors.

    The type of each array names its dimensions; see `allocate_rows` for their sizes.
    """

    tokens: Annotated[Array, "N"]
    previous: Annotated[Array, "N"]  # previous token in the context, or -1
    positions: Annotated[Array, "N"]  # position of each token in its context
    slots: Annotated[Array, "N"]  # cache slot of each token
    sequences: Annotated[Array, "N"]  # sequences for which a token is sampled in this step
    x: Annotated[Array, "N", "C"]  # residual stream
    normed: Annotated[Array, "N", "C"]
    qkv: Annotated[Array, "N", "3 C"]
    attn_weights: Annotated[Array, "H", "T"]
    attn_out: Annotated[Array, "N", "C"]
    hidden: Annotated[Array, "N", "hidden"]
    logits: Annotated[Array, "N", "V"]
    order: Annotated[Array, "V"]
    sums: Annotated[Array, "1", "V"]


def allocate_rows(model: ModelConfig, dtype: str, N: int) -> Rows:
    """Return arrays for up to N tokens per decoding step."""
    C = model.n_embd
    sizes = {
        "1": 1, "N": N, "C": C, "3 C": 3 * C, "hidden": model.n_ff_exp * C,
        "H": model.n_head, "T": model.block_size, "V": model.vocab_size,
    }  # fmt: skip
    return allocated(Rows, sizes, dtype, qkv=padded(C, dtype))  # values are read as whole vectors


class DecodeArrays(NamedTuple):
    """Reusable arrays of a decoder; allocating them takes longer than decoding a short reply."""

    cache: KVCache
    rows: Rows
