"""The ONNX graph of a model of any architecture, with the KV cache as inputs and outputs.

    input_ids (B, T)                     tokens, int64
    past_key_values.N.key, .value        of layer N: (B, H, P, D); P is 0 at first
    past_embedding, past_mlp_input.N     of the token before, with token shift: (B, 1, C); first 0
    logits (B, T, V)                     float32
    present.N.key, present_embedding, …  the cache for the next call

B = batch, T = length, P = tokens in the cache, H = n_head, D = head_dim, C = n_embd. The weights
are initializers that the file adds to the graph: `wte` and `wpe` as in the model, the other
matrices transposed.
"""

from itertools import count
from typing import TYPE_CHECKING, Any

from microgpt import QK_SCALE, ModelConfig, angles

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import NodeProto, ValueInfoProto

OPSET, IR_VERSION = 23, 11  # the first opset with Attention; onnxruntime has it since 1.23
TABLES = ("wte", "wpe")  # matrices whose rows are looked up; the others are factors
CACHE = ("past_key_values", "present")  # prefixes of the keys and values that go in and come out
FLOAT, END = 1, 2**31 - 1  # float32 in ONNX; a number larger than any size


class OnnxGraph:
    """The nodes, inputs, outputs and constants of a model's graph."""

    def __init__(self, config: ModelConfig) -> None:
        from onnx import TensorProto

        self.config = config
        self.nodes: list[NodeProto] = []
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._numbers = count()
        shape = ("batch", "length")
        self._declare(self.inputs, "input_ids", *shape, dtype=TensorProto.INT64)
        self._declare(self.outputs, "logits", *shape, config.vocab_size)
        self._read_positions()
        x = self.rmsnorm(self.embedding())
        for layer in range(config.n_layer):
            x = self.add("Add", x, self.attention(self.rmsnorm(x), layer))
            x = self.add("Add", x, self.mlp(self.rmsnorm(x), layer))
        self.linear(x if config.is_karpathys else self.rmsnorm(x), "lm_head", result="logits")

    def add(self, op: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        """Add a node; return the name of its result."""
        from onnx.helper import make_node

        result = result or f"{op}_{next(self._numbers)}"
        self.nodes.append(make_node(op, inputs, result.split(), result.split()[0], **attributes))
        return result.split()[0]

    def constant(self, value: object, dtype: str = "float32") -> str:
        """Return the name of a constant; equal ones have the same name."""
        import numpy as np

        array = np.array(value, dtype)
        for name, other in self.constants.items():
            if other.dtype == array.dtype and np.array_equal(other, array):
                return name
        name = f"constant_{len(self.constants)}"
        self.constants[name] = array
        return name

    def integers(self, *values: int) -> str:
        """Return the name of a constant with integers, such as a shape."""
        return self.constant(values, "int64")

    def embedding(self) -> str:
        """Return the sum of the embeddings of tokens: (B, T, C)."""
        x = tokens = self.add("Gather", "wte", "input_ids")
        if self.config.is_karpathys:
            x = self.add("Add", x, self.add("Gather", "wpe", self.positions))
        if self.config.architecture == "modern":
            half, order = self.config.n_embd // 2, [*range(self.config.n_embd)]
            turned = self.integers(*order[-half:], *order[:-half])
            before = self.add("Gather", self.before(tokens, "embedding"), turned, axis=2)
            x = self.add("Add", x, before)
        return x

    def attention(self, x: str, layer: int) -> str:
        """Apply causal attention to the tokens and those in the cache: (B, T, C) -> (B, T, C)."""
        n_head, name = self.config.n_head, f"layer{layer}.attn_w"
        read = [self.query_or_key(x, name + "q"), self.query_or_key(x, name + "k")]
        read += [self.linear(x, name + "v"), self.is_visible]
        for part in ("key", "value"):
            past, present = (f"{prefix}.{layer}.{part}" for prefix in CACHE)
            shape = ("batch", n_head, "past", self.config.head_dim)
            self._declare(self.inputs, past, *shape)
            self._declare(self.outputs, present, *shape[:2], "total", shape[3])
            read.append(past)
        present = " ".join(f"{CACHE[1]}.{layer}.{part}" for part in ("key", "value"))
        heads = {"q_num_heads": n_head, "kv_num_heads": n_head}
        out = self.add("Attention", *read, result=f"attention_{layer} {present}", **heads)
        return self.linear(out, name + "o")

    def query_or_key(self, x: str, matrix: str) -> str:
        """Return queries or keys; unless Karpathy's, normalized and rotated per head: (B, T, C)."""
        x, (H, D) = self.linear(x, matrix), (self.config.n_head, self.config.head_dim)
        if self.config.is_karpathys:
            return x
        heads = self.add("Reshape", x, self.integers(0, 0, H, D))
        heads = self.rmsnorm(heads, [QK_SCALE] * D)
        x = self.add("Reshape", heads, self.integers(0, 0, H * D))
        read = (x, *self.rotations, self.positions)
        return self.add("RotaryEmbedding", *read, interleaved=1, num_heads=H)

    def mlp(self, x: str, layer: int) -> str:
        """Apply the two-layer MLP: (B, T, C) -> (B, T, C)."""
        if self.config.architecture == "modern":
            C = self.config.n_embd
            is_shifted = self.constant([i < C // 2 for i in range(C)], "bool")
            x = self.add("Where", is_shifted, self.before(x, f"mlp_input.{layer}"), x)
        x = self.add("Relu", self.linear(x, f"layer{layer}.mlp_fc1"))
        if not self.config.is_karpathys:
            x = self.add("Mul", x, x)
        return self.linear(x, f"layer{layer}.mlp_fc2")

    def rmsnorm(self, x: str, gains: list[float] | None = None) -> str:
        """Apply RMSNorm to the last dimension, then multiply by the gains."""
        scale = self.constant(gains or [1.0] * self.config.n_embd)
        return self.add("RMSNormalization", x, scale, axis=-1, epsilon=1e-5)

    def linear(self, x: str, name: str, result: str = "") -> str:
        """Multiply by a matrix."""
        return self.add("MatMul", x, name, result=result)

    def before(self, x: str, name: str) -> str:
        """Return the vector of the token before each token; the first is cached: (B, T, C)."""
        past, present = f"past_{name}", f"present_{name}"
        for infos, each in ((self.inputs, past), (self.outputs, present)):
            self._declare(infos, each, "batch", 1, self.config.n_embd)
        both = self.add("Concat", past, x, axis=1)
        last, axis = self.integers(-1), self.integers(1)
        self.add("Slice", both, last, self.integers(END), axis, result=present)
        return self.add("Slice", both, self.integers(0), last, axis)

    def _read_positions(self) -> None:
        """Add the positions of the tokens, and which tokens each of them attends to."""
        import numpy as np

        n_past = self.add("Shape", f"{CACHE[0]}.0.key", start=2, end=3)
        n_new = self.add("Shape", "input_ids", start=1, end=2)
        first, one = self.constant(0, "int64"), self.constant(1, "int64")
        ends = [self.add("Squeeze", n) for n in (n_past, self.add("Add", n_past, n_new))]
        new = self.add("Range", *ends, one)  # (T)
        all_tokens = self.add("Range", first, ends[1], one)  # (P + T)
        queries = self.add("Unsqueeze", new, self.integers(1))
        self.is_visible = self.add("LessOrEqual", all_tokens, queries)  # (T, P + T)
        self.positions = self.add("Expand", new, self.add("Shape", "input_ids"))  # (B, T)
        if not self.config.is_karpathys:
            turns = np.outer(np.arange(self.config.block_size), angles(self.config, 1))
            self.rotations = [self.constant(np.cos(turns)), self.constant(np.sin(turns))]

    @staticmethod
    def _declare(
        infos: "list[ValueInfoProto]", name: str, *shape: str | int, dtype: int = FLOAT
    ) -> None:
        """Declare an input or an output; it is float32 by default."""
        from onnx.helper import make_tensor_value_info

        infos.append(make_tensor_value_info(name, dtype, shape))
