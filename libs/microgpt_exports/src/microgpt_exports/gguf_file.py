"""GGUF files (version 3): write a model with its receipt, and read a file that may be untrusted.

    header      "GGUF", version, number of tensors, number of metadata
    metadata    the receipt first, then what llama.cpp, ollama and LM Studio read
    names       of the tensors, with shapes and offsets
    tensors     float32, each at a multiple of 32 bytes

A file is accepted only if everything before its tensors equals what microgpt writes for its receipt
and its tokenizer, so llama.cpp reads no other metadata.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import (
    MAX_TOKENIZER_BYTES,
    ROTARY_BASE,
    ExportFormat,
    ExportRequest,
    ModelConfig,
    Sampling,
    SavedModel,
    Tokenizer,
    Verification,
    check_extra,
    printable,
    read,
)
from microgpt_exports.apertus import ACTIVATION, EPSILON, check_fits, tensor_shapes, to_apertus
from microgpt_exports.comparison import PIECE, first_bytes, running, verdict
from microgpt_exports.foreign_tokenizer import foreign_tokenizer, note_characters
from microgpt_exports.receipt import (
    DAMAGED,
    MAX_BYTES,
    MAX_TOKENS,
    RECEIPT,
    TOKENIZER,
    Receipt,
    check_exportable,
    make_receipt,
    naming,
    read_receipt,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC, VERSION, ALIGNMENT = b"GGUF", 3, 32
NAME = "general.name"
MAX_FILE, MAX_NAME = 2**34, 2**10  # bytes
LIMITS = {RECEIPT: MAX_BYTES, NAME: MAX_NAME, TOKENIZER: MAX_TOKENIZER_BYTES}
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


def encode_gguf(saved: SavedModel, name: str) -> bytes:
    """Return the content of the GGUF file of a model, with its receipt.

    Args:
        name: display name of the model.

    Raises:
        ConfigError: the model has another architecture, replies with a plug-in, or has too
            many layers, or sources of the model have been edited.
        CheckpointError: a weight is too large for float32.
    """
    check_exportable(saved)  # first: the other errors would suggest a format or a training
    tensors = to_apertus(saved.model, saved.weights)
    data = b"".join(_padded(tensors[each].tobytes()) for each in _tensor_names(saved.model))
    texts = {RECEIPT: make_receipt(saved, [data]).model_dump_json(), NAME: printable(name)}
    if saved.tokenizer.file:
        texts[TOKENIZER] = saved.tokenizer.file.decode()
    return _head(texts, saved.model, saved.tokenizer) + data


def read_gguf(path: Path) -> Receipt:
    """Check a file that `encode_gguf` has written, and return its receipt.

    Raises:
        CheckpointError: the file cannot be read, is damaged, or is not such a file.
    """
    content = read(path, MAX_FILE)
    texts = _texts(content)
    receipt = read_receipt(texts.get(RECEIPT), path, len(content))
    with naming(path, DAMAGED):
        check_fits(receipt.model)
        tokenizer = receipt.restored_tokenizer(texts.get(TOKENIZER), path)
        head = _head(texts, receipt.model, tokenizer)
    receipt.check_written(path, is_equal=content[: len(head)] == head)
    receipt.check_weights(path, [memoryview(content)[len(head) :]])
    return receipt


def encode_modelfile(saved: SavedModel, name: str) -> bytes:
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


class LlamaSession:
    """A model that llama.cpp runs on one core, with a float32 cache.

    Only one sequence can be read at a time, because llama.cpp keeps the cache.

    Raises:
        ConfigError: the extra gguf is missing.
        CheckpointError: llama.cpp cannot run the model.
    """

    def __init__(self, file: Path, n_tokens: int = MAX_TOKENS) -> None:
        check_extra("microgpt-exports[gguf]", "GGUF files in llama.cpp", "llama_cpp")
        import llama_cpp
        from llama_cpp import _logger

        floats = llama_cpp.GGML_TYPE_F32
        # llama.cpp warns that its smallest context is larger than that of a small model.
        silent = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(silent, None)
        try:
            with running(f"llama.cpp (llama-cpp-python {llama_cpp.__version__})"):
                self._llama = llama_cpp.Llama(
                    str(file), n_ctx=n_tokens, n_batch=PIECE, n_ubatch=PIECE, n_threads=1,
                    n_threads_batch=1, logits_all=True, type_k=floats, type_v=floats, verbose=False,
                )  # fmt: skip
        finally:
            llama_cpp.llama_log_set(_logger.llama_log_callback, None)

    def read(self, tokens: Sequence[int], cache: Any) -> "tuple[NDArray[Any], Any]":
        """Return the logits after each token (T, V); the cache is None for a new sequence."""
        if cache is None:
            self._llama.reset()
        self._llama.eval(tokens)
        start = self._llama.n_tokens - len(tokens)
        return self._llama.scores[start : self._llama.n_tokens].copy(), self


def _encode(saved: SavedModel, request: ExportRequest) -> dict[Path, bytes]:
    """Return the file, and ollama's Modelfile for it."""
    file = request.output
    files = {file: encode_gguf(saved, file.stem)}
    note_characters(saved.tokenizer, request.note)
    return files | {Path(f"{file}.Modelfile"): encode_modelfile(saved, file.name)}


def _verify(path: Path) -> Verification | None:
    if path.suffix != ".gguf" and not first_bytes(path).startswith(MAGIC):
        return None
    return verdict(read_gguf(path), LlamaSession(path))


GGUF = ExportFormat(_encode, verify=_verify)


def _head(texts: Mapping[str, str], config: ModelConfig, tokenizer: Tokenizer) -> bytes:
    """Return everything before the tensors; the given texts come first in the metadata."""
    metadata = {name: (STRING, text) for name, text in texts.items()}
    metadata |= _metadata(config, tokenizer)
    names = _tensor_names(config)
    parts = [struct.pack("<4sIQQ", MAGIC, VERSION, len(names), len(metadata))]
    for name, (kind, value) in metadata.items():
        parts += [_string(name), struct.pack("<I", kind), *_value(kind, value)]
    offset, shapes = 0, tensor_shapes(config)
    for theirs, name in names.items():
        shape = shapes[theirs][::-1]  # the fastest dimension first
        numbers = (len(shape), *shape, FLOATS, offset)
        parts.append(_string(name) + struct.pack(f"<I{len(shape)}QIQ", *numbers))
        offset += 4 * prod(shape) + -4 * prod(shape) % ALIGNMENT
    return _padded(b"".join(parts))


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


def _tensor_names(config: ModelConfig) -> dict[str, str]:
    """Return the name of each tensor in GGUF, by its name in transformers, without xIELU's."""
    found: dict[str, str] = {}
    for theirs in tensor_shapes(config):
        if ".act_fn." not in theirs:
            name, block = theirs.removesuffix(".weight"), ""
            if name.startswith("model.layers."):
                layer, name = name.removeprefix("model.layers.").split(".", 1)
                block = f"blk.{layer}."
            found[theirs] = f"{block}{TENSORS[name]}.weight"
    return found


def _texts(content: bytes) -> dict[str, str]:
    """Return our texts in the metadata at the beginning of a file, if they are not too long."""
    found: dict[str, str] = {}
    for name, most in LIMITS.items():
        key = _string(name) + struct.pack("<I", STRING)
        start = content.find(key) + len(key)
        with suppress(ValueError, struct.error):  # the file is damaged
            if start >= len(key):
                size = struct.unpack_from("<Q", content, start)[0]
                if size <= most:
                    found[name] = str(content[start + 8 : start + 8 + size], "utf-8")
    return found


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


def _padded(content: bytes) -> bytes:
    """Return content with zeros up to the next multiple of the alignment."""
    return content + bytes(-len(content) % ALIGNMENT)
