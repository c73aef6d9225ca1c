"""ONNX files: the graph of a model of any architecture, with the KV cache as inputs and outputs.

docs/reference/exports.md lists the inputs and outputs. The weights are initializers: `wte` and
`wpe` as in the model, the other matrices transposed. B = batch, T = length, C = n_embd.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microgpt import QK_SCALE, ConfigError, ModelConfig, Tokenizer, angles, check_extra, tensors_of
from microgpt_exports.format import RECEIPT, Arrays, Format, Numbers, running
from microgpt_exports.receipt import Program, Receipt

EXTRA = ("microgpt-exports[onnx]", "ONNX files")
TABLES = ("wte", "wpe")  # matrices whose rows are looked up; all others are multiplied
MAX_ANGLES = 2**26  # maximum of block_size times n_embd; limits the tables of rotary positions
SILENT = 4  # log level of onnxruntime: only fatal errors
# Opset 23 is the first one with Attention; onnxruntime supports it from version 1.23 on.
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
KARPATHYS_EMBEDDING = """\
  position = Gather (wpe, positions)
  embedding = Add (token, position)
"""


def tensors(config: ModelConfig, weights: Mapping[str, Any]) -> Arrays:
    """Return the initializers: weights, gains, and the cosines and sines of each position."""
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


def files(receipt: Receipt, _: Tokenizer, tensors: Arrays) -> dict[str, list[bytes]]:
    """Return the content of an ONNX file, with the receipt, as byte strings to concatenate."""
    from onnx.helper import set_model_props
    from onnx.numpy_helper import from_array
    from onnx.parser import parse_model

    model = parse_model(graph(receipt.model))
    read = {name for node in model.graph.node for name in node.input}
    for node in [*model.graph.node]:  # onnxruntime warns of constants that nothing reads
        if node.op_type == "Constant" and node.output[0] not in read:
            model.graph.node.remove(node)
    model.graph.initializer.extend(from_array(*each[::-1]) for each in tensors.items())
    set_model_props(model, {RECEIPT: receipt.to_json()})
    content, parts, at = model.SerializeToString(), [], 0
    for tensor in model.graph.initializer:
        numbers = tensor.raw_data  # the serialized tensor ends with these bytes
        head = tensor.SerializeToString()[: -len(numbers)]
        start = content.index(head, at) + len(head)
        parts += [content[at:start], Numbers(numbers)]
        at = start + len(numbers)
    return {"": [*parts, content[at:]]}


def run(model: bytes | Path) -> Program:
    """Open a file, or its content, in onnxruntime on one core."""
    check_extra(*EXTRA, "onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = SILENT
    program = f"onnxruntime {onnxruntime.__version__}"
    with running(program):
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    caches = session.get_inputs()[1:]

    def read(tokens: Sequence[int], cache: Arrays | None) -> tuple[NDArray[Any], Arrays]:
        if cache is None:
            sizes = {"batch": 1, "past": 0}
            shapes = {each.name: [sizes.get(size, size) for size in each.shape] for each in caches}
            cache = {name: np.zeros(shape, "float32") for name, shape in shapes.items()}
        with running(program):
            logits, *present = session.run(None, {"input_ids": np.array([tokens]), **cache})
        return logits[0], dict(zip(cache, present, strict=True))

    return read


ONNX_FORMAT = Format("onnx", tensors, files, run, check=partial(check_extra, *EXTRA, "onnx"))


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
    embedding = {"karpathy": KARPATHYS_EMBEDDING, "portable": "", "modern": _turned(C)}
    x, last = ("token" if config.architecture == "portable" else "embedding"), f"x{config.n_layer}"
    layers = "".join(_layer(config, i) for i in range(config.n_layer))
    normed = "" if config.is_karpathys else f"  out = {NORM} ({last}, ones)\n"
    return f"""\
{VERSIONS}
microgpt (int64[batch, length] input_ids, {", ".join(inputs)})
=> (float[batch, length, {V}] logits, {", ".join(outputs)}) {{{POSITIONS}\
  by_head = Constant <value_ints = [0, 0, {H}, {D}]> ()
  joined = Constant <value_ints = [0, 0, {C}]> ()
  token = Gather (wte, input_ids)
{embedding[config.architecture]}  x0 = {NORM} ({x}, ones)
{layers}{normed}  logits = MatMul ({"out" if normed else last}, lm_head)
}}"""


def _turned(C: int) -> str:
    """Return the nodes that add the previous token's embedding, with its halves swapped.

    `is_shifted` marks the numbers that the MLP reads from the previous token: the first half.
    """
    half, order = C // 2, [*range(C)]
    is_shifted = ", ".join(str(int(i < half)) for i in order)
    return f"""\
{_before("token", "embedding")}\
  turned = Constant <value_ints = {order[-half:] + order[:-half]}> ()
  other = Gather <axis = 2> (token_before, turned)
  embedding = Add (token, other)
  is_shifted = Constant <value = bool[{C}] {{{is_shifted}}}> ()
"""


def _layer(config: ModelConfig, i: int) -> str:
    """Return the nodes of a layer, which add the outputs of attention and MLP to x (B, T, C)."""
    H, q, k, x, active = config.n_head, f"q{i}", f"k{i}", f"input{i}", f"active{i}"
    rotated = shifted = squared = ""
    if not config.is_karpathys:
        rotated = _rotated(q, H) + _rotated(k, H)
        squared = f"  square{i} = Mul ({active}, {active})\n"
        q, k, active = f"{q}_rotated", f"{k}_rotated", f"square{i}"
    if config.architecture == "modern":
        shifted = _before(x, f"mlp_input.{i}")
        shifted += f"  shifted{i} = Where (is_shifted, {x}_before, {x})\n"
        x = f"shifted{i}"
    return f"""\
  normed{i} = {NORM} (x{i}, ones)
  q{i} = MatMul (normed{i}, "layer{i}.attn_wq")
  k{i} = MatMul (normed{i}, "layer{i}.attn_wk")
  v{i} = MatMul (normed{i}, "layer{i}.attn_wv")
{rotated}\
  heads{i}, "present.{i}.key", "present.{i}.value" =
    Attention <q_num_heads = {H}, kv_num_heads = {H}>
    ({q}, {k}, v{i}, is_visible, "past_key_values.{i}.key", "past_key_values.{i}.value")
  attention{i} = MatMul (heads{i}, "layer{i}.attn_wo")
  y{i} = Add (x{i}, attention{i})
  input{i} = {NORM} (y{i}, ones)
{shifted}\
  hidden{i} = MatMul ({x}, "layer{i}.mlp_fc1")
  active{i} = Relu (hidden{i})
{squared}\
  mlp{i} = MatMul ({active}, "layer{i}.mlp_fc2")
  x{i + 1} = Add (y{i}, mlp{i})
"""


def _rotated(x: str, H: int) -> str:
    """Return the nodes that normalize and rotate the queries or keys in x (B, T, C)."""
    return f"""\
  {x}_heads = Reshape ({x}, by_head)
  {x}_normed = {NORM} ({x}_heads, qk_scale)
  {x}_joined = Reshape ({x}_normed, joined)
  {x}_rotated = RotaryEmbedding <interleaved = 1, num_heads = {H}>
    ({x}_joined, cosine, sine, positions)
"""


def _before(x: str, name: str) -> str:
    """Return the nodes that shift x (B, T, C) by one token; the first vector is from the cache."""
    return f"""\
  {x}_both = Concat <axis = 1> ("past_{name}", {x})
  "present_{name}" = Slice ({x}_both, last, endless, axis)
  {x}_before = Slice ({x}_both, start, last, axis)
"""
