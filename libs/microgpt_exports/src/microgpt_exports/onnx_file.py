"""ONNX files: the graph of a model of any architecture, with the KV cache as inputs and outputs.

    input_ids (B, T)                     tokens, int64
    past_key_values.N.key, .value        of layer N: (B, H, P, D); P is 0 at first
    past_embedding, past_mlp_input.N     of the token before, with token shift: (B, 1, C); first 0
    logits (B, T, V)                     float32
    present.N.key, present_embedding, …  the cache for the next call

B = batch, T = length, P = tokens in the cache, H = n_head, D = head_dim, C = n_embd. The weights
are initializers: `wte` and `wpe` as in the model, the other matrices transposed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import QK_SCALE, ConfigError, ModelConfig, angles, check_extra, tensors_of
from microgpt_exports.format import RECEIPT, Exported, Format, Numbers, running
from microgpt_exports.receipt import Program

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

EXTRA = ("microgpt-exports[onnx]", "ONNX files")
TABLES = ("wte", "wpe")  # matrices whose rows are looked up; the others are factors
MAX_ANGLES = 2**26  # positions times n_embd
SILENT = 4  # onnxruntime logs only what ends the process
# Opset 23 is the first one with Attention; onnxruntime has it since 1.23.
VERSIONS = '<ir_version: 11, opset_import: ["" : 23], producer_name: "microgpt">'
NORM = "RMSNormalization <axis = -1, epsilon = 1e-5>"
POSITIONS = """
  zero = Constant <value_int = 0> ()
  one = Constant <value_int = 1> ()
  start = Constant <value_ints = [0]> ()
  axis = Constant <value_ints = [1]> ()
  last = Constant <value_ints = [-1]> ()
  endless = Constant <value_ints = [2147483647]> ()
  n_past = Shape <start = 2, end = 3> ("past_key_values.0.key")
  n_new = Shape <start = 1, end = 2> (input_ids)
  n_all = Add (n_past, n_new)
  first = Squeeze (n_past)
  end = Squeeze (n_all)
  new = Range (first, end, one)
  all = Range (zero, end, one)
  queries = Unsqueeze (new, axis)
  is_visible = LessOrEqual (all, queries)
  shape = Shape (input_ids)
  positions = Expand (new, shape)
"""


def tensors(config: ModelConfig, weights: Mapping[str, Any]) -> "Arrays":
    """Return the initializers: the weights, gains, and the angles of each position."""
    import numpy as np

    if config.block_size * config.n_embd > MAX_ANGLES:
        raise ConfigError(f"block_size times n_embd is above {MAX_ANGLES:,}; use --format html")
    ours = tensors_of(config, weights, "float32")
    found = {name: each if name in TABLES else each.T for name, each in ours.items()}
    found["ones"] = np.ones(config.n_embd)
    if not config.is_karpathys:
        turns = np.outer(np.arange(config.block_size), angles(config, 1))
        found["qk_scale"] = np.full(config.head_dim, QK_SCALE)
        found |= {"cosine": np.cos(turns), "sine": np.sin(turns)}
    return {name: np.ascontiguousarray(each, "float32") for name, each in found.items()}


def files(exported: Exported) -> dict[str, list[bytes]]:
    """Return the parts of a file; the receipt is in the metadata."""
    from onnx.helper import set_model_props
    from onnx.numpy_helper import from_array
    from onnx.parser import parse_model

    model = parse_model(graph(exported.model))
    model.graph.initializer.extend(from_array(*each[::-1]) for each in exported.tensors.items())
    set_model_props(model, {RECEIPT: exported.receipt})
    content, parts, at = model.SerializeToString(), [], 0
    for tensor in model.graph.initializer:
        numbers = tensor.raw_data  # ends its message
        head = tensor.SerializeToString()[: -len(numbers)]
        start = content.index(head, at) + len(head)
        parts += [content[at:start], Numbers(numbers)]
        at = start + len(numbers)
    return {"": [*parts, content[at:]]}


def run(model: bytes | Path) -> Program:
    """Open a file, or its content, in onnxruntime on one core.

    Raises:
        ConfigError: the extra onnx is missing.
        CheckpointError: onnxruntime cannot run the model.
    """
    check_extra(*EXTRA, "onnxruntime")
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = SILENT
    program = f"onnxruntime {onnxruntime.__version__}"
    with running(program):
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    caches = session.get_inputs()[1:]

    def read(tokens: Sequence[int], cache: "Arrays | None") -> "tuple[NDArray[Any], Arrays]":
        if cache is None:
            sizes = {"batch": 1, "past": 0}
            shapes = {each.name: [sizes.get(size, size) for size in each.shape] for each in caches}
            cache = {name: np.zeros(shape, "float32") for name, shape in shapes.items()}
        with running(program):
            logits, *present = session.run(None, {"input_ids": np.array([tokens]), **cache})
        return logits[0], dict(zip(cache, present, strict=True))

    return read


ONNX_FORMAT = Format("onnx", tensors, files, run, requires=(*EXTRA, "onnx"))
ONNX = ONNX_FORMAT.plugin


def graph(config: ModelConfig) -> str:
    """Return the graph of a model in the text format of ONNX."""
    H, D, C, V = config.n_head, config.head_dim, config.n_embd, config.vocab_size
    keys, vector = f"[batch, {H}, %s, {D}]", f"[batch, 1, {C}]"
    is_modern = config.architecture == "modern"
    caches = [(vector, "_embedding")] * is_modern
    for i in range(config.n_layer):
        caches += [(keys, f"_key_values.{i}.{part}") for part in ("key", "value")]
        caches += [(vector, f"_mlp_input.{i}")] * is_modern
    inputs = [f'float{shape.replace("%s", "past")} "past{name}"' for shape, name in caches]
    outputs = [
        f'float{shape.replace("%s", "total")} "present{name.removeprefix("_key_values")}"'
        for shape, name in caches
    ]
    nodes = f"{POSITIONS}  by_head = Constant <value_ints = [0, 0, {H}, {D}]> ()\n"
    nodes += f"  joined = Constant <value_ints = [0, 0, {C}]> ()\n{_embedding(config)}"
    for i in range(config.n_layer):
        nodes += _attention(config, i) + _mlp(config, i)
    x = f"x{config.n_layer}"
    if not config.is_karpathys:
        nodes += f"  out = {NORM} ({x}, ones)\n"
        x = "out"
    return (
        f"{VERSIONS}\nmicrogpt (int64[batch, length] input_ids, {', '.join(inputs)})\n"
        f"=> (float[batch, length, {V}] logits, {', '.join(outputs)}) {{{nodes}"
        f"  logits = MatMul ({x}, lm_head)\n}}"
    )


def _embedding(config: ModelConfig) -> str:
    """Return the nodes of x0, the normalized sum of the embeddings: (B, T, C)."""
    nodes, x = "  token = Gather (wte, input_ids)\n", "token"
    if config.is_karpathys:
        nodes += "  position = Gather (wpe, positions)\n  embedding = Add (token, position)\n"
        x = "embedding"
    if config.architecture == "modern":
        half, order = config.n_embd // 2, [*range(config.n_embd)]
        nodes += _before("token", "embedding")
        nodes += f"  turned = Constant <value_ints = {order[-half:] + order[:-half]}> ()\n"
        nodes += "  other = Gather <axis = 2> (token_before, turned)\n"
        nodes += "  embedding = Add (token, other)\n"
        is_shifted = ", ".join(str(int(i < half)) for i in order)
        nodes += f"  is_shifted = Constant <value = bool[{len(order)}] {{{is_shifted}}}> ()\n"
        x = "embedding"
    return nodes + f"  x0 = {NORM} ({x}, ones)\n"


def _attention(config: ModelConfig, i: int) -> str:
    """Return the nodes of y, x plus causal attention to the tokens and the cache: (B, T, C)."""
    H, nodes = config.n_head, f"  normed{i} = {NORM} (x{i}, ones)\n"
    for x in "qkv":
        nodes += f'  {x}{i} = MatMul (normed{i}, "layer{i}.attn_w{x}")\n'
    q, k = f"q{i}", f"k{i}"
    if not config.is_karpathys:
        for x in (q, k):
            nodes += f"""\
  {x}_heads = Reshape ({x}, by_head)
  {x}_normed = {NORM} ({x}_heads, qk_scale)
  {x}_joined = Reshape ({x}_normed, joined)
  {x}_rotated = RotaryEmbedding <interleaved = 1, num_heads = {H}>
    ({x}_joined, cosine, sine, positions)
"""
        q, k = f"{q}_rotated", f"{k}_rotated"
    return (
        nodes
        + f"""\
  heads{i}, "present.{i}.key", "present.{i}.value" =
    Attention <q_num_heads = {H}, kv_num_heads = {H}>
    ({q}, {k}, v{i}, is_visible, "past_key_values.{i}.key", "past_key_values.{i}.value")
  attention{i} = MatMul (heads{i}, "layer{i}.attn_wo")
  y{i} = Add (x{i}, attention{i})
"""
    )


def _mlp(config: ModelConfig, i: int) -> str:
    """Return the nodes of the next x, y plus the two-layer MLP: (B, T, C)."""
    x, nodes = f"input{i}", f"  input{i} = {NORM} (y{i}, ones)\n"
    if config.architecture == "modern":
        nodes += _before(x, f"mlp_input.{i}")
        nodes += f"  shifted{i} = Where (is_shifted, {x}_before, {x})\n"
        x = f"shifted{i}"
    nodes += f'  hidden{i} = MatMul ({x}, "layer{i}.mlp_fc1")\n  active{i} = Relu (hidden{i})\n'
    active = f"active{i}"
    if not config.is_karpathys:
        nodes += f"  square{i} = Mul ({active}, {active})\n"
        active = f"square{i}"
    return (
        nodes
        + f"""\
  mlp{i} = MatMul ({active}, "layer{i}.mlp_fc2")
  x{i + 1} = Add (y{i}, mlp{i})
"""
    )


def _before(x: str, name: str) -> str:
    """Return the nodes of the vector of the token before each; the first is cached: (B, T, C)."""
    return f"""\
  {x}_both = Concat <axis = 1> ("past_{name}", {x})
  "present_{name}" = Slice ({x}_both, last, endless, axis)
  {x}_before = Slice ({x}_both, start, last, axis)
"""
