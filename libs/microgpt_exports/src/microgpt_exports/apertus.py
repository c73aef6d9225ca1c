"""Convert models to Apertus, an architecture that llama.cpp, transformers and mlx-lm support.

Models of the architecture `portable` can be converted. Apertus differs from it as follows:

    embeddings   have no RMSNorm after them: the rows of `wte` are stored normalized
    gains        of each RMSNorm are parameters: all 1, those of queries and keys 1.2
    rotation     is of the dimensions i and i + head_dim / 2, not of neighbours: the rows of
                 attn_wq and attn_wk are in another order
    activation   xIELU (Huang & Schlag 2024) with the parameters that make it squared ReLU

C = n_embd, H = n_head, D = head_dim. Tensors have the names of transformers.
"""

from collections.abc import Iterator, Mapping
from math import e, log, prod
from typing import TYPE_CHECKING, Any

from microgpt import (
    QK_SCALE,
    ROTARY_BASE,
    CheckpointError,
    ConfigError,
    ModelConfig,
    printable,
    tensors_of,
)
from microgpt_exports.format import zero_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

EPSILON = 1e-5  # of each RMSNorm
# xIELU is softplus(ALPHA_P) x² + BETA x above 0, here x², and (beta + softplus(ALPHA_N)) (eˣ − 1 −
# x) + BETA x below, here 0. It has a threshold near 0, from which on eˣ is that of the threshold.
ALPHA_P, ALPHA_N, BETA, THRESHOLD = log(e - 1), -100.0, 0.0, -1e-6
ACTIVATION = {"alpha_p": ALPHA_P, "alpha_n": ALPHA_N, "beta": BETA, "eps": THRESHOLD}
MAX_ALPHA_N = -20.0  # softplus is at most 2e-9
MAX_SQUARE = 1 - 1e-5  # largest mean square of an embedding after RMSNorm; see `from_apertus`
TABLES = {"wte": "model.embed_tokens.weight", "lm_head": "lm_head.weight"}
NORM = "model.norm.weight"
MATRICES = {  # of a layer
    "attn_wq": "self_attn.q_proj",
    "attn_wk": "self_attn.k_proj",
    "attn_wv": "self_attn.v_proj",
    "attn_wo": "self_attn.o_proj",
    "mlp_fc1": "mlp.up_proj",
    "mlp_fc2": "mlp.down_proj",
}
ROTATED = ("attn_wq", "attn_wk")
# Gains of the RMSNorm before these matrices.
BEFORE = {
    "attention_layernorm": ("attn_wq", "attn_wk", "attn_wv"),
    "feedforward_layernorm": ("mlp_fc1",),
}
HEAD_NORMS = ("self_attn.q_norm", "self_attn.k_norm")
MUST_BE_EQUAL = (  # keys of config.json
    "model_type", "num_attention_heads", "num_key_value_heads", "hidden_act", "rms_norm_eps",
    "rope_parameters", "attention_bias", "tie_word_embeddings",
)  # fmt: skip


def check_fits(config: ModelConfig) -> None:
    """Raise ConfigError if a model has another architecture."""
    if config.architecture != "portable":
        raise ConfigError(
            f"no program of GGUF files or transformers has the architecture {config.architecture}; "
            "train a student with `microgpt train --architecture portable --teacher MODEL "
            "--data FILE`, or use --format onnx"
        )


def to_apertus(config: ModelConfig, weights: Mapping[str, Any]) -> "Arrays":
    """Return the tensors of a model in float32.

    Raises:
        ConfigError: the model has another architecture.
        CheckpointError: a weight is too large for float32.
    """
    import numpy as np

    check_fits(config)
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
        found |= {f"{prefix}.{name}.weight": np.ones(C) for name in BEFORE}
        found |= {f"{prefix}.{name}.weight": np.full(D, QK_SCALE) for name in HEAD_NORMS}
        for name, number in ACTIVATION.items():
            shape = (1,) if name.startswith("alpha") else ()
            found[f"{prefix}.mlp.act_fn.{name}"] = np.full(shape, number)
    return {name: np.array(each, "float32", order="C") for name, each in found.items()}


def from_apertus(config: ModelConfig, tensors: "Mapping[str, NDArray[Any]]") -> "Arrays":
    """Return the weights of our model that gives the same results as the tensors, in float64.

    Trained gains are multiplied into the matrices that follow them. Each row of `wte` is scaled so
    that RMSNorm returns the embedding. A result of RMSNorm has a root mean square below 1; if an
    embedding has a larger one, the embeddings and all results of the blocks are scaled down by one
    factor, which has no effect on the RMSNorms that read them.

    Args:
        config: the shape.

    Raises:
        CheckpointError: a tensor is missing, has another shape, or has unsupported values.
    """
    import numpy as np

    check_tensors(config, {name: each.shape for name, each in tensors.items()})
    with np.errstate(invalid="ignore"):  # of a NaN that signals; it is refused below
        read = {name: np.asarray(each, float) for name, each in tensors.items()}
    for name, tensor in read.items():
        if not np.isfinite(tensor).all():
            raise CheckpointError(f"{name} has a number that is not finite")
    wte = read[TABLES["wte"]]
    factor = min(1.0, (MAX_SQUARE / max((wte**2).mean(axis=1).max(), 1e-30)) ** 0.5)
    wte = factor * wte
    wte *= np.sqrt(EPSILON / (1 - (wte**2).mean(axis=1, keepdims=True)))
    found = {"wte": wte, "lm_head": read[TABLES["lm_head"]] * read[NORM]}
    for layer, prefix in _layers(config):
        squared = _activation_scale(read, prefix)
        for name in HEAD_NORMS:
            if not np.allclose(read[f"{prefix}.{name}.weight"], QK_SCALE, rtol=1e-6):
                raise CheckpointError(
                    f"{prefix}.{name} has gains other than {QK_SCALE}; "
                    "do not train the gains of queries and keys"
                )
        gains: dict[str, NDArray[Any] | float] = {
            name: read[f"{prefix}.{norm}.weight"]
            for norm, names in BEFORE.items()
            for name in names
        }
        gains |= {"attn_wo": factor, "mlp_fc2": factor * squared}
        for name, other in MATRICES.items():
            matrix = read[f"{prefix}.{other}.weight"] * gains[name]
            if name in ROTATED:
                matrix = _turned(matrix, (config.n_head, 2, config.head_dim // 2, config.n_embd))
            found[f"layer{layer}.{name}"] = matrix
    return found


def check_tensors(config: ModelConfig, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise CheckpointError if tensors are not those of a model of this shape."""
    expected = {name: each.shape for name, each in to_apertus(config, zero_weights(config)).items()}
    for name, shape in expected.items():
        if shapes.get(name) != shape:
            found = "is missing" if name not in shapes else f"has the shape {shapes[name]}"
            raise CheckpointError(f"{name} {found}; expected the shape {shape}")
    if others := shapes.keys() - expected.keys():
        raise CheckpointError(f"{printable(min(others), 80)} is not a tensor of this architecture")


def settings_of(config: ModelConfig) -> dict[str, object]:
    """Return the settings in transformers' config.json for a model of this shape."""
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
        # For mlx-lm:
        "rope_theta": ROTARY_BASE,
        "mlp_bias": False,
        "qk_norm": True,
        "post_norm": False,
    }


def check_settings(config: ModelConfig, settings: Mapping[str, Any]) -> None:
    """Raise CheckpointError if settings of config.json give other results than our model."""
    for name, expected in settings_of(config).items():
        if name in MUST_BE_EQUAL and settings.get(name) != expected:
            raise CheckpointError(
                f"config.json: {name} is {settings.get(name)!r:.80}; microgpt requires {expected!r}"
            )


def _layers(config: ModelConfig) -> Iterator[tuple[int, str]]:
    """Yield the index of each layer, and the prefix of the names of its tensors."""
    return ((layer, f"model.layers.{layer}") for layer in range(config.n_layer))


def _turned(matrix: "NDArray[Any]", shape: tuple[int, int, int, int]) -> "NDArray[Any]":
    """Exchange the two axes of the rows of a head: (H, D/2, 2, C) or (H, 2, D/2, C) to (C, C)."""
    return matrix.reshape(shape).swapaxes(1, 2).reshape(prod(shape[:3]), shape[3])


def _activation_scale(tensors: "Arrays", prefix: str) -> float:
    """Return the factor of squared ReLU; raise CheckpointError if xIELU is another function."""
    import numpy as np

    numbers = {name: float(tensors[f"{prefix}.mlp.act_fn.{name}"].sum()) for name in ACTIVATION}
    if numbers["beta"] != BETA or numbers["alpha_n"] > MAX_ALPHA_N:
        raise CheckpointError(f"{prefix}.mlp.act_fn is not squared ReLU")
    return float(np.logaddexp(0, numbers["alpha_p"]))  # softplus
