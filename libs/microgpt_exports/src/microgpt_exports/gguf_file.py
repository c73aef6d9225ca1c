"""GGUF files (version 3) for llama.cpp, ollama and LM Studio.

header      "GGUF", version, number of tensors, number of metadata
metadata    the receipt first, then what the programs read
names       of the tensors, with shapes and offsets
tensors     float32, each at a multiple of 32 bytes
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import (
    ROTARY_BASE,
    ExportRequest,
    ModelConfig,
    Sampling,
    SavedModel,
    Tokenizer,
    check_extra,
    printable,
)
from microgpt_exports.apertus import ACTIVATION, EPSILON, to_apertus
from microgpt_exports.foreign_tokenizer import foreign_tokenizer, note_characters
from microgpt_exports.format import RECEIPT, Exported, Format, Numbers, running
from microgpt_exports.receipt import MAX_TOKENS, PIECE, Program

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALIGNMENT = 32
FLOATS, NORMAL, CONTROL = 0, 1, 3  # types: of a tensor and a file; of tokens
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9  # types of metadata
FORMATS = {UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}
TENSORS = {  # the names of the tensors of transformers
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


def files(exported: Exported) -> dict[str, list[bytes]]:
    """Return the parts of a file."""
    metadata = {RECEIPT: (STRING, exported.receipt)}
    metadata["general.name"] = (STRING, printable(Path(exported.name).stem))
    metadata |= _metadata(exported.model, exported.tokenizer)
    tensors = {_tensor_name(name): each for name, each in exported.tensors.items()}
    stored = {name: each for name, each in tensors.items() if name}
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(stored), len(metadata))
    for name, (kind, value) in metadata.items():
        head += _string(name) + struct.pack("<I", kind) + b"".join(_value(kind, value))
    data, offset = [], 0
    for name, tensor in stored.items():
        shape = tensor.shape[::-1]  # the fastest dimension first
        numbers = (len(shape), *shape, FLOATS, offset)
        head += _string(name) + struct.pack(f"<I{len(shape)}QIQ", *numbers)
        data += [Numbers(tensor.tobytes()), _padding(tensor.nbytes)]
        offset += tensor.nbytes + len(data[-1])
    return {"": [head + _padding(len(head)), *data]}


def run(file: Path, n_tokens: int = MAX_TOKENS) -> Program:
    """Open a file in llama.cpp on one core, with a float32 cache of one sequence at a time.

    Raises:
        ConfigError: the extra gguf is missing.
        CheckpointError: llama.cpp cannot run the model.
    """
    check_extra("microgpt-exports[gguf]", "GGUF files in llama.cpp", "llama_cpp")
    import llama_cpp
    from llama_cpp import _logger

    floats = llama_cpp.GGML_TYPE_F32
    # llama.cpp warns that its smallest context is larger than that of a small model.
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

    def read(tokens: Sequence[int], cache: Any) -> "tuple[NDArray[Any], Any]":
        if cache is None:
            llama.reset()
        llama.eval(tokens)
        return llama.scores[llama.n_tokens - len(tokens) : llama.n_tokens].copy(), llama

    return read


def modelfile(saved: SavedModel, name: str) -> bytes:
    """Return the content of ollama's Modelfile for a GGUF file of this name beside it."""
    tokenizer = foreign_tokenizer(saved.tokenizer)
    template = "{{ .Prompt }}"
    if saved.tokenizer.is_chat:
        turn = '{{ else if eq .Role "%s" }}<|%s|>{{ .Content }}<|end_turn|>'
        turns = "".join(turn % (role, role) for role in ("user", "assistant"))
        turns = turns.removeprefix("{{ else ")
        template = f"{{{{ range .Messages }}}}{{{{ {turns}{{{{ end }}}}{{{{ end }}}}<|assistant|>"
    stop = next(name for name, token in tokenizer.special.items() if token == tokenizer.end_id)
    lines = [
        f"FROM ./{name}",
        f'TEMPLATE """{template}"""',
        f"PARAMETER num_ctx {saved.model.block_size}",
        f"PARAMETER temperature {Sampling.temperature}",
        "PARAMETER top_k 0",
        "PARAMETER top_p 1",
        "PARAMETER repeat_penalty 1",
        f'PARAMETER stop "{stop}"',
    ]
    return "\n".join([*lines, ""]).encode()


def _also(saved: SavedModel, request: ExportRequest) -> dict[Path, bytes]:
    """Tell which characters are left out, and return ollama's Modelfile."""
    note_characters(saved.tokenizer, request.note)
    return {Path(f"{request.output}.Modelfile"): modelfile(saved, request.output.name)}


GGUF_FORMAT = Format("gguf", to_apertus, files, run, also=_also)
GGUF = GGUF_FORMAT.plugin


def _metadata(config: ModelConfig, tokenizer: Tokenizer) -> dict[str, tuple[int, Any]]:
    """Return the type and the value of each metadata field that other programs read."""
    read = foreign_tokenizer(tokenizer)
    tokens = [*read.pieces, *read.special]
    kinds = [NORMAL] * len(read.pieces) + [CONTROL] * len(read.special)
    sizes = {
        "vocab_size": config.vocab_size,
        "context_length": config.block_size,
        "embedding_length": config.n_embd,
        "block_count": config.n_layer,
        "feed_forward_length": config.n_ff_exp * config.n_embd,
        "rope.dimension_count": config.head_dim,
        "attention.head_count": config.n_head,
        "attention.head_count_kv": config.n_head,
    }
    ids = {"bos": read.bos_id, "eos": read.end_id, "padding": read.bos_id}
    return {
        "general.architecture": (STRING, "apertus"),
        "general.type": (STRING, "model"),
        "general.file_type": (UINT32, FLOATS),
        "general.sampling.temp": (FLOAT32, Sampling.temperature),
        **{f"apertus.{name}": (UINT32, size) for name, size in sizes.items()},
        "apertus.rope.freq_base": (FLOAT32, ROTARY_BASE),
        "apertus.attention.layer_norm_rms_epsilon": (FLOAT32, EPSILON),
        **{f"xielu.{name}": (FLOAT32, number) for name, number in ACTIVATION.items()},
        "tokenizer.ggml.model": (STRING, "gpt2"),
        "tokenizer.ggml.pre": (STRING, "gpt-2"),
        "tokenizer.ggml.tokens": (ARRAY, (STRING, tokens)),
        "tokenizer.ggml.token_type": (ARRAY, (INT32, kinds)),
        "tokenizer.ggml.merges": (ARRAY, (STRING, [*map(" ".join, read.merges)])),
        **{f"tokenizer.ggml.{name}_token_id": (UINT32, token) for name, token in ids.items()},
        "tokenizer.ggml.add_bos_token": (BOOL, True),
        "tokenizer.ggml.suppress_tokens": (ARRAY, (INT32, read.suppressed)),
        "tokenizer.chat_template": (STRING, read.chat_template),
    }


def _tensor_name(theirs: str) -> str:
    """Return the name of a tensor of transformers in GGUF; none of xIELU's, which are metadata."""
    name, block = theirs.removesuffix(".weight"), ""
    if name.startswith("model.layers."):
        layer, name = name.removeprefix("model.layers.").split(".", 1)
        block = f"blk.{layer}."
    return f"{block}{TENSORS[name]}.weight" if name in TENSORS else ""


def _value(kind: int, value: Any) -> Iterator[bytes]:
    if kind == STRING:
        yield _string(value)
    elif kind == ARRAY:
        of, values = value
        yield struct.pack("<IQ", of, len(values))
        for each in values:
            yield from _value(of, each)
    else:
        yield struct.pack(FORMATS[kind], value)


def _string(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


def _padding(n_bytes: int) -> bytes:
    """Return zeros up to the next multiple of the alignment."""
    return bytes(-n_bytes % ALIGNMENT)
