"""Convert models to and from Apertus, an architecture that llama.cpp and Transformers support.

Models of the architecture `portable` can be converted. Apertus differs from `portable` as follows:

    embeddings   are not normalized by the model: the rows of `wte` are stored normalized
    gains        of the RMSNorms are parameters: 1.2 for queries and keys, 1 for all others
    rotation     pairs dimensions i and i + head_dim / 2 instead of neighbours: the rows of
                 attn_wq and attn_wk are reordered
    activation   is xIELU (Huang & Schlag 2024), with parameters that make it squared ReLU

C = n_embd, H = n_head, D = head_dim. Tensors have the names that Hugging Face Transformers uses.
"""

from collections.abc import Iterator, Mapping
from math import e, log, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt import (
    QK_SCALE,
    ROTARY_BASE,
    CheckpointError,
    ConfigError,
    ModelConfig,
    printable,
    tensors_of,
)
from microgpt_exports.format import Arrays, zero_weights

EPSILON = 1e-5  # added to the mean square in each RMSNorm
# For x > 0, xIELU is softplus(alpha_p) x² + beta x, here x². For x <= 0, it is (beta +
# softplus(alpha_n)) (eˣ − 1 − x) + beta x, here 0; in eˣ, min(x, eps) replaces x.
ACTIVATION = {"alpha_p": log(e - 1), "alpha_n": -100.0, "beta": 0.0, "eps": -1e-6}
MAX_SQUARE = 1 - 1e-5  # largest mean square of an embedding after RMSNorm; see `from_apertus`
TABLES = {"wte": "model.embed_tokens.weight", "lm_head": "lm_head.weight"}
NORM = "model.norm.weight"
MATRICES = {  # matrices of a layer, and their names in Hugging Face Transformers
    "attn_wq": "self_attn.q_proj",
    "attn_wk": "self_attn.k_proj",
    "attn_wv": "self_attn.v_proj",
    "attn_wo": "self_attn.o_proj",
    "mlp_fc1": "mlp.up_proj",
    "mlp_fc2": "mlp.down_proj",
}
ROTATED, RESULTS = ("attn_wq", "attn_wk"), ("attn_wo", "mlp_fc2")
NORMS = ("attention_layernorm", "feedforward_layernorm")
HEAD_NORMS = ("self_attn.q_norm", "self_attn.k_norm")
WITHOUT_EFFECT = ("architectures", "dtype")  # fields of config.json that do not affect results


def to_apertus(config: ModelConfig, weights: Mapping[str, Any]) -> Arrays:
    """Return the float32 tensors of a model; raise ConfigError if it is not `portable`."""
    if config.architecture != "portable":
        raise ConfigError(
            f"neither GGUF nor transformers supports the architecture {config.architecture}; "
            "train a student with `microgpt train --architecture portable --teacher MODEL "
            "--data FILE`, or use --format onnx"
        )
    C, D = config.n_embd, config.head_dim
    ours = tensors_of(config, weights, "float32")
    wte = ours["wte"].astype(float)
    wte /= np.sqrt((wte**2).mean(axis=1, keepdims=True) + EPSILON)
    found = {TABLES["wte"]: wte, TABLES["lm_head"]: ours["lm_head"], NORM: np.ones(C)}
    for layer, prefix in _layers(config):
        for name, other in MATRICES.items():
            matrix = ours[f"layer{layer}.{name}"]
            halves = _turned(matrix, (config.n_head, D // 2, 2, C)) if name in ROTATED else matrix
            found[f"{prefix}.{other}.weight"] = halves
        found |= {f"{prefix}.{name}.weight": np.ones(C) for name in NORMS}
        found |= {f"{prefix}.{name}.weight": np.full(D, QK_SCALE) for name in HEAD_NORMS}
        for name, number in ACTIVATION.items():
            shape = (1,) if name.startswith("alpha") else ()
            found[f"{prefix}.mlp.act_fn.{name}"] = np.full(shape, number)
    return {name: np.array(each, "float32", order="C") for name, each in found.items()}


def from_apertus(config: ModelConfig, tensors: Arrays) -> Arrays:
    """Return float64 weights with which microgpt computes the same results as Apertus.

    Each row of `wte` is scaled so that RMSNorm returns the embedding. The output of RMSNorm has a
    root mean square below 1. If an embedding has a larger one, all embeddings and the outputs of
    all blocks are scaled down by a common factor, which later RMSNorms remove.

    Raises:
        CheckpointError: a tensor is missing, has the wrong shape, or has unsupported values.
    """
    expected = to_apertus(config, zero_weights(config))
    if others := tensors.keys() - expected.keys():
        raise CheckpointError(f"{printable(min(others), 80)} is not a tensor of this architecture")
    for name, each in expected.items():
        _check_tensor(name, tensors.get(name), each)
    read = {name: each.astype(float) for name, each in tensors.items()}
    wte = read[TABLES["wte"]]
    factor = min(1.0, (MAX_SQUARE / max((wte**2).mean(axis=1).max(), 1e-30)) ** 0.5)
    wte *= factor
    wte *= np.sqrt(EPSILON / (1 - (wte**2).mean(axis=1, keepdims=True)))
    found = {"wte": wte, "lm_head": read[TABLES["lm_head"]]}
    for layer, prefix in _layers(config):
        for name, other in MATRICES.items():
            matrix = read[f"{prefix}.{other}.weight"]
            if name in ROTATED:
                matrix = _turned(matrix, (config.n_head, 2, config.head_dim // 2, config.n_embd))
            found[f"layer{layer}.{name}"] = factor * matrix if name in RESULTS else matrix
    return found


def _check_tensor(name: str, tensor: NDArray[Any] | None, expected: NDArray[Any]) -> None:
    """Raise CheckpointError if a tensor is invalid; a vector must have the values of `expected`."""
    if tensor is None or tensor.shape != expected.shape:
        found = "is missing" if tensor is None else f"has the shape {tensor.shape}"
        raise CheckpointError(f"{name} {found}; expected the shape {expected.shape}")
    if not np.isfinite(tensor).all():
        raise CheckpointError(f"{name} has a number that is not finite")
    if tensor.ndim < 2 and not np.allclose(tensor, expected, rtol=1e-6, atol=0):
        constant = expected.max()
        raise CheckpointError(f"{name} must be {constant:g}, a constant; train only the matrices")


def settings_of(config: ModelConfig) -> dict[str, object]:
    """Return the content of config.json, as read by Transformers, for a model configuration."""
    return {
        "architectures": ["ApertusForCausalLM"],
        "model_type": "apertus",
        "dtype": "float32",
        "vocab_size": config.vocab_size,
        "hidden_size": config.n_embd,
        "intermediate_size": config.n_ff_exp * config.n_embd,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_head,
        "max_position_embeddings": config.block_size,
        "hidden_act": "xielu",
        "rms_norm_eps": EPSILON,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROTARY_BASE},
        "attention_bias": False,
        "tie_word_embeddings": False,
    }


def check_settings(config: ModelConfig, settings: Mapping[str, Any]) -> None:
    """Raise CheckpointError if config.json makes the results differ from those of microgpt."""
    for name, expected in settings_of(config).items():
        if name not in WITHOUT_EFFECT and settings.get(name) != expected:
            found = repr(settings.get(name))
            raise CheckpointError(f"config.json: {name} is {found:.80}; it must be {expected!r}")


def _layers(config: ModelConfig) -> Iterator[tuple[int, str]]:
    """Yield the index of each layer, and the prefix of the names of its tensors."""
    return ((layer, f"model.layers.{layer}") for layer in range(config.n_layer))


def _turned(matrix: NDArray[Any], shape: tuple[int, int, int, int]) -> NDArray[Any]:
    """Return a matrix (C, C) with axes 1 and 2 of its view in `shape`, (H, …, …, C), swapped."""
    return matrix.reshape(shape).swapaxes(1, 2).reshape(prod(shape[:3]), shape[3])
