"""A model as a PyTorch module, with the same weights, logits and gradients.

    gpt = Gpt(load("names"))
    ...  # train it
    save(gpt.to_model(), "trained-names")

The parameters have the names of `weight_shapes`. Dropout is not applied. The extra `torch` must be
installed. B = batch, T = length, V = vocab_size, C = n_embd, H = n_head, D = head_dim.
"""

from dataclasses import asdict

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from microgpt import (
    QK_SCALE,
    ConfigError,
    SavedModel,
    TrainedModel,
    angles,
    check_unedited,
    description_of,
    weight_shapes,
)


class Gpt(nn.Module):
    """A GPT with the architecture, the weights and the dtype of a trained model."""

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        check_unedited("the module of PyTorch")
        self.model, self.config = model, model.model
        dtype = getattr(torch, model.dtype)
        for name in weight_shapes(self.config):
            layer, _, last = name.rpartition(".")
            if layer and not hasattr(self, layer):
                self.add_module(layer, nn.Module())
            weight = nn.Parameter(torch.tensor(model.weights[name], dtype=dtype))
            self.get_submodule(layer).register_parameter(last, weight)
        if not self.config.is_karpathys:
            positions = torch.arange(self.config.block_size, dtype=torch.float64)
            turns = torch.outer(positions, positions.new_tensor(angles(self.config, 1)))  # (T, D/2)
            self.register_buffer("cosine", turns.cos().to(dtype), persistent=False)
            self.register_buffer("sine", turns.sin().to(dtype), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits after each token: (B, T) -> (B, T, V)."""
        if tokens.shape[1] > self.config.block_size:
            most = self.config.block_size
            raise ConfigError(f"{tokens.shape[1]} tokens exceed the context of {most}")
        x = rmsnorm(self.embedding(tokens))  # (B, T, C)
        for layer in range(self.config.n_layer):
            weights = self.get_submodule(f"layer{layer}")
            x = x + self.attention(rmsnorm(x), weights)
            x = x + self.mlp(rmsnorm(x), weights)
        return F.linear(x if self.config.is_karpathys else rmsnorm(x), self.lm_head)

    def embedding(self, tokens: Tensor) -> Tensor:
        """Return, for each token, the sum of its embeddings: (B, T) -> (B, T, C)."""
        x = embedded = F.embedding(tokens, self.wte)
        if self.config.is_karpathys:
            x = x + self.wpe[: tokens.shape[1]]
        if self.config.architecture == "modern":
            x = x + before(embedded).roll(self.config.n_embd // 2, -1)
        return x

    def attention(self, x: Tensor, weights: nn.Module) -> Tensor:
        """Apply causal multi-head attention: (B, T, C) -> (B, T, C)."""
        q, k = self.query_or_key(x, weights.attn_wq), self.query_or_key(x, weights.attn_wk)
        v = self.heads(x, weights.attn_wv)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, T, D)
        return F.linear(out.transpose(1, 2).flatten(2), weights.attn_wo)

    def heads(self, x: Tensor, matrix: Tensor) -> Tensor:
        """Return the queries, keys or values of each head: (B, T, C) -> (B, H, T, D)."""
        return F.linear(x, matrix).unflatten(2, (self.config.n_head, -1)).transpose(1, 2)

    def query_or_key(self, x: Tensor, matrix: Tensor) -> Tensor:
        """Return queries or keys, normalized and rotated unless the model is Karpathy's."""
        x = self.heads(x, matrix)
        if self.config.is_karpathys:
            return x
        x = QK_SCALE * rmsnorm(x)
        cosine, sine = self.cosine[: x.shape[2]], self.sine[: x.shape[2]]
        a, b = x[..., ::2], x[..., 1::2]
        return torch.stack((a * cosine - b * sine, a * sine + b * cosine), -1).flatten(3)

    def mlp(self, x: Tensor, weights: nn.Module) -> Tensor:
        """Apply the two-layer MLP: (B, T, C) -> (B, T, C)."""
        half = self.config.n_embd // 2
        if self.config.architecture == "modern":
            x = torch.cat((before(x)[..., :half], x[..., half:]), -1)
        hidden = F.relu(F.linear(x, weights.mlp_fc1))
        hidden = hidden if self.config.is_karpathys else hidden * hidden
        return F.linear(hidden, weights.mlp_fc2)

    def to_model(self) -> SavedModel:
        """Return a model with the current weights; save it with `microgpt.save`."""
        old = self.model
        weights = {name: each.tolist() for name, each in self.named_parameters()}
        trained = TrainedModel(self.config, weights, old.tokenizer, old.dtype)
        data = [facts and asdict(facts) for facts in old.trained_on]
        text = old.config.text
        meta = description_of(trained, imported_from="PyTorch", text=text, ancestor_data=data)
        examples = old.meta.examples if isinstance(old, SavedModel) else None
        meta = meta.model_copy(update={"extra": dict(old.extra) or None, "examples": examples})
        return SavedModel(self.config, weights, old.tokenizer, old.dtype, meta)


def rmsnorm(x: Tensor) -> Tensor:
    """Scale each vector to a root mean square of 1."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-5)


def before(x: Tensor) -> Tensor:
    """Return the previous token's vector for each token, 0 for the first: (B, T, C)."""
    return F.pad(x[:, :-1], (0, 0, 1, 0))
