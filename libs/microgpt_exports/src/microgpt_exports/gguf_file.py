"""GGUF files (version 3) for llama.cpp, ollama and LM Studio.

header      "GGUF", version, number of tensors, number of metadata entries
metadata    the receipt (see `receipt`), then the entries that other programs read
infos       the name, shape and offset of each tensor
tensors     float32, each at a multiple of 32 bytes
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from microgpt import (
    ROTARY_BASE,
    ModelConfig,
    Sampling,
    Tokenizer,
    check_extra,
    printable,
)
from microgpt_exports.apertus import ACTIVATION, EPSILON, to_apertus
from microgpt_exports.foreign_tokenizer import foreign_tokenizer, known_characters
from microgpt_exports.format import RECEIPT, Arrays, Format, Numbers, running
from microgpt_exports.receipt import MAX_TOKENS, PIECE, Program, Receipt

ALIGNMENT = 32
FLOATS, NORMAL, CONTROL = 0, 1, 3  # GGUF types of float32 tensors, normal tokens and control tokens
STRING, ARRAY, INTEGER = 8, 9, 5  # GGUF value types; INTEGER (int32) is used only in arrays
SCALARS = {bool: (7, "<?"), int: (4, "<I"), float: (6, "<f")}  # GGUF types and `struct` formats
TENSORS = {  # names of tensors in Hugging Face Transformers, and in GGUF
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "attention_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "feedforward_layernorm": "ffn_norm",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def files(receipt: Receipt, tokenizer: Tokenizer, tensors: Arrays) -> dict[str, list[bytes]]:
    """Return the content of a GGUF file as byte strings to concatenate."""
    metadata = {RECEIPT: receipt.to_json(), "general.name": printable(Path(receipt.name).stem)}
    metadata |= _metadata(receipt.model, tokenizer)
    tensors = {_tensor_name(name): each for name, each in tensors.items()}
    stored = {name: each for name, each in tensors.items() if name}
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(stored), len(metadata))
    for name, value in metadata.items():
        head += _string(name) + _value(value)
    data, offset = [], 0
    for name, tensor in stored.items():
        shape = tensor.shape[::-1]  # GGUF lists the fastest-varying dimension first
        numbers = (len(shape), *shape, FLOATS, offset)
        head += _string(name) + struct.pack(f"<I{len(shape)}QIQ", *numbers)
        data += [Numbers(tensor.tobytes()), _padding(tensor.nbytes)]
        offset += tensor.nbytes + len(data[-1])
    return {"": [head + _padding(len(head)), *data]}


def run(file: Path, n_tokens: int = MAX_TOKENS) -> Program:
    """Open a file in llama.cpp on one core, with a float32 KV cache for one sequence."""
    check_extra("microgpt-exports[gguf]", "GGUF files in llama.cpp", "llama_cpp")
    import llama_cpp
    from llama_cpp import _logger

    floats = llama_cpp.GGML_TYPE_F32
    # Do not log llama.cpp's warning that its smallest context is larger than that of a small model.
    silent = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(silent, None)
    try:
        with running(f"llama.cpp (llama-cpp-python {llama_cpp.__version__})"):
            llama = llama_cpp.Llama(
                str(file), n_ctx=n_tokens, n_batch=PIECE, n_ubatch=PIECE, n_threads=1,
                n_threads_batch=1, logits_all=True, type_k=floats, type_v=floats, verbose=False,
            )  # fmt: skip
    finally:
        llama_cpp.llama_log_set(_logger.llama_log_callback, None)

    def read(tokens: Sequence[int], cache: Any) -> tuple[NDArray[Any], Any]:
        if cache is None:
            llama.reset()
        llama.eval(tokens)
        return llama.scores[llama.n_tokens - len(tokens) : llama.n_tokens].copy(), llama

    return read


GGUF_FORMAT = Format("gguf", to_apertus, files, run, remark=known_characters)


def _metadata(config: ModelConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the metadata that other programs read."""
    read = foreign_tokenizer(tokenizer)
    return {
        "general.architecture": "apertus",
        "general.type": "model",
        "general.file_type": FLOATS,
        "general.sampling.temp": float(Sampling.temperature),
        "apertus.vocab_size": config.vocab_size,
        "apertus.context_length": config.block_size,
        "apertus.embedding_length": config.n_embd,
        "apertus.block_count": config.n_layer,
        "apertus.feed_forward_length": config.n_ff_exp * config.n_embd,
        "apertus.rope.dimension_count": config.head_dim,
        "apertus.attention.head_count": config.n_head,
        "apertus.attention.head_count_kv": config.n_head,
        "apertus.rope.freq_base": float(ROTARY_BASE),
        "apertus.attention.layer_norm_rms_epsilon": EPSILON,
        **{f"xielu.{name}": number for name, number in ACTIVATION.items()},
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": [*read.pieces, *read.special],
        "tokenizer.ggml.token_type": [NORMAL] * len(read.pieces) + [CONTROL] * len(read.special),
        "tokenizer.ggml.merges": [*map(" ".join, read.merges)],
        "tokenizer.ggml.bos_token_id": tokenizer.bos_id,
        "tokenizer.ggml.eos_token_id": read.end_id,
        "tokenizer.ggml.padding_token_id": tokenizer.bos_id,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.suppress_tokens": [*read.suppressed],
        "tokenizer.chat_template": read.chat_template,
    }


def _tensor_name(theirs: str) -> str:
    """Return a tensor's name in GGUF, or "" for the parameters of xIELU, which are metadata."""
    name, block = theirs.removesuffix(".weight"), ""
    if name.startswith("model.layers."):
        layer, name = name.removeprefix("model.layers.").split(".", 1)
        block = f"blk.{layer}."
    return f"{block}{TENSORS[name]}.weight" if name in TENSORS else ""


def _value(value: Any) -> bytes:
    """Return the encoded type and value of a metadata field."""
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _string(value)
    if isinstance(value, list):
        kind = STRING if value and isinstance(value[0], str) else INTEGER
        each = map(_string, value) if kind == STRING else (struct.pack("<i", n) for n in value)
        return struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(each)
    kind, format = SCALARS[type(value)]
    return struct.pack("<I", kind) + struct.pack(format, value)


def _string(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


def _padding(n_bytes: int) -> bytes:
    """Return the zero bytes that pad n_bytes to a multiple of ALIGNMENT."""
    return bytes(-n_bytes % ALIGNMENT)
