"""The language model Apertus in NumPy, written independently of microgpt."""

import numpy as np


def forward(tensors: dict[str, np.ndarray], n_head: int, tokens: list[int]) -> np.ndarray:
    """Return the log-probabilities of the next token after each given token: (T, V)."""
    read = {name: each.astype(float) for name, each in tensors.items()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * read[name + ".weight"]

    def rotated(x: np.ndarray) -> np.ndarray:  # (T, H, D) -> (T, H, D)
        half = x.shape[-1] // 2
        turns = np.outer(range(len(x)), 10_000.0 ** (-np.arange(half) / half))[:, None]
        first, second = x[..., :half], x[..., half:]
        cos, sin = np.cos(turns), np.sin(turns)
        return np.concatenate((first * cos - second * sin, second * cos + first * sin), -1)

    def xielu(x: np.ndarray, name: str) -> np.ndarray:
        alpha_p, alpha_n, beta, eps = (
            read[f"{name}.{each}"] for each in ("alpha_p", "alpha_n", "beta", "eps")
        )
        above = np.logaddexp(0, alpha_p) * x * x
        below = (np.expm1(np.minimum(x, eps)) - x) * (beta + np.logaddexp(0, alpha_n))
        return np.where(x > 0, above, below) + beta * x

    x = read["model.embed_tokens.weight"][tokens]
    mask = np.triu(np.full((len(tokens), len(tokens)), -np.inf), 1)
    for layer in range(sum(name.endswith("q_proj.weight") for name in read)):
        prefix = f"model.layers.{layer}"
        h = norm(x, f"{prefix}.attention_layernorm")
        q, k, v = (
            (h @ read[f"{prefix}.self_attn.{each}_proj.weight"].T).reshape(len(x), n_head, -1)
            for each in "qkv"
        )
        q, k = (
            rotated(norm(each, f"{prefix}.self_attn.{name}_norm"))
            for name, each in (("q", q), ("k", k))
        )
        scores = np.einsum("thd,shd->hts", q, k) / q.shape[-1] ** 0.5 + mask
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        out = np.einsum("hts,shd->thd", scores, v).reshape(x.shape)
        x = x + out @ read[f"{prefix}.self_attn.o_proj.weight"].T
        h = norm(x, f"{prefix}.feedforward_layernorm") @ read[f"{prefix}.mlp.up_proj.weight"].T
        x = x + xielu(h, f"{prefix}.mlp.act_fn") @ read[f"{prefix}.mlp.down_proj.weight"].T
    logits = norm(x, "model.norm") @ read["lm_head.weight"].T
    return logits - np.logaddexp.reduce(logits, 1, keepdims=True)
