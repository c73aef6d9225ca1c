"""Import a checkpoint of another program; refuse one that does not fit the architecture.

    weights in a file        with the names of Karpathy's script: JSON or safetensors
    a directory of MoonBase  of a version with subword tokens
    of transformers          that `microgpt export` has written; see `apertus_directory`

Files may be untrusted: pickles are refused, and names and shapes are checked first.
"""

import os
import re
from collections.abc import Collection
from pathlib import Path

from microgpt import (
    META,
    MOONBASE_WEIGHTS,
    SPECIAL_TOKENS,
    TOKENIZER,
    CheckpointError,
    ConfigError,
    DType,
    Matrices,
    ModelConfig,
    SavedModel,
    Tokenizer,
    TrainedModel,
    as_argument,
    check_matrix,
    decode_json,
    decode_tensors,
    decode_weights,
    description_of,
    has_model,
    max_bytes,
    read,
    read_meta,
    rows_of,
)
from microgpt_exports.imports.apertus_directory import CONFIG, read_apertus
from microgpt_exports.imports.tokenizer_json import TokenizerJson, naming

MAX_BYTES = 2**33  # of a file with weights
MAX_JSON = 2**26  # of one with JSON, whose numbers take up to 41 times as much memory
SCRIPT = "Karpathy's script"
PICKLES = (b"PK\x03\x04", b"\x80")  # first bytes of a file of torch.save, and of any pickle
WRAPPERS = re.compile(r"^(_orig_mod\.|module\.)+|\.weight$")  # of modules of PyTorch
# A name that a family of programs gives to a tensor, the programs, and what does not fit.
FAMILIES = (
    (r"attn\.c_attn\.weight$", "nanoGPT, minGPT, makemore or GPT-2",
     "GELU, LayerNorm, and no RMSNorm after the embeddings"),
    (r"attn\.c_q\.weight$", "nanochat or modded-nanogpt",
     "logits that tanh limits, or another scale of queries and keys"),
    (r"mlp\.act_fn\.alpha_p$", "transformers",
     "the settings are in config.json: import the directory"),
    (r"mlp\.gate_proj\.weight$", "the Llama family",
     "a gated MLP, and no RMSNorm after the embeddings"),
)  # fmt: skip
# The special tokens of MoonBase, in the order of their ids; and matrices with a row for each token.
SPECIAL = tuple(f"<{name}>" for name in ("bos", *SPECIAL_TOKENS))
TABLES = ("wte", "lm_head")
BIASES = r"(attn|mlp|ln_\w+)(\.\w+)?\.bias$"
MASKS = r"attn\.(masked_)?bias$"  # buffers of GPT-2 and its descendants


def import_model(
    path: str | Path, *, n_head: int | None = None, tokenizer: Tokenizer | None = None
) -> SavedModel:
    """Return the model in a file or directory of another program; save it with `microgpt.save`.

    Args:
        n_head: number of attention heads; required for a weights file, which does not contain it.
        tokenizer: required for a weights file, which does not contain one.

    Raises:
        ConfigError: an argument is missing or superfluous, or a package is not installed.
        CheckpointError: a file is missing or damaged, or the model is not supported.
    """
    path = Path(path)
    if not os.path.isdir(path):
        return _from_file(path, n_head, tokenizer)
    if n_head or tokenizer:
        raise ConfigError(f"{path} is a directory, which describes its model; omit the options")
    if has_model(path) and os.path.exists(path / META):
        copy = f"microgpt export {as_argument(path)} --output NAME"
        raise ConfigError(
            f"{path} needs no import: every command reads it; to copy it, use: {copy}"
        )
    if os.path.exists(path / MOONBASE_WEIGHTS):
        return imported(_from_moonbase(path), "MoonBase")
    if os.path.exists(path / CONFIG):
        return imported(read_apertus(path), "transformers")
    raise CheckpointError(f"{path} has no checkpoint that `microgpt import` reads")


def imported(trained: TrainedModel, source: str) -> SavedModel:
    """Return a model whose description names the program that it comes from."""
    meta = description_of(trained, imported_from=source)
    return SavedModel(trained.model, trained.weights, trained.tokenizer, trained.dtype, meta)


def _from_file(path: Path, n_head: int | None, tokenizer: Tokenizer | None) -> SavedModel:
    """Return the model with the weights in a file, which have the names of Karpathy's script."""
    tensors, source = _read(path)
    if n_head is None:
        raise ConfigError(f"{path} does not say the number of attention heads; add --n-head")
    if tokenizer is None:
        raise ConfigError(f"{path} has no vocabulary; add --data with the text it was trained on")
    config = _shape_of(tensors, path, n_head)
    if config.vocab_size != tokenizer.vocab_size:
        raise CheckpointError(
            f"{path} has {config.vocab_size} tokens, but the text has {tokenizer.vocab_size} "
            "(its characters, and the start token)"
        )
    weights = rows_of(tensors, path, config, SCRIPT)
    is_double = getattr(tensors["wte"], "dtype", "float64") == "float64"  # as numbers of JSON are
    dtype: DType = "float64" if is_double else "float32"
    return imported(TrainedModel(config, weights, tokenizer, dtype), source)


def _from_moonbase(directory: Path) -> TrainedModel:
    """Return the model in a directory of MoonBase.

    The matrices and meta.json have our names. In tokenizer.json, byte-level BPE, the special tokens
    are the first ones, and bytes that the training text does not have are missing.
    """
    path, file = directory / META, directory / TOKENIZER
    meta = read_meta(directory, "bpe")
    is_chat = meta.special_tokens is not None
    with naming(path):
        model = meta.model()
    found, special = TokenizerJson.of(file), SPECIAL if is_chat else SPECIAL[:1]
    if found.special != [*enumerate(special)]:
        raise CheckpointError(f"{file}: the first tokens must be {', '.join(special)}")
    bos, *others = range(len(special))
    order = [*map(found.model.vocab.__getitem__, found.pieces), *others, bos]  # their tokens
    if len(order) != model.vocab_size or sorted(order) != [*range(len(order))]:
        raise CheckpointError(
            f"{path}: vocab_size is {model.vocab_size}, but {TOKENIZER} has {len(order)} tokens, "
            "or its ids are not consecutive"
        )
    with naming(file):
        tokenizer = found.bpe(is_chat=is_chat)
    path = directory / MOONBASE_WEIGHTS
    weights = decode_weights(read(path, max_bytes(path, model)), path, model)
    weights |= {name: tuple(weights[name][token] for token in order) for name in TABLES}
    return TrainedModel(model, weights, tokenizer, "float32")


def _read(path: Path) -> tuple[Matrices, str]:
    """Return the matrices in a file, and its format, which the first bytes determine."""
    content = read(path, MAX_BYTES)
    if int.from_bytes(content[:8], "little") > len(content):  # not the size of a header
        return _read_json(content, path), "JSON"
    found = decode_tensors(content, path)
    _check_names(found, path)
    tensors = {WRAPPERS.sub("", name): tensor for name, tensor in found.items()}
    for name, tensor in tensors.items():
        check_matrix(tensor, name, path)
    return tensors, "safetensors"


def _check_names(names: Collection[str], path: Path) -> None:
    """Raise CheckpointError with the reason if tensors with these names are not supported."""
    for pattern, program, reason in FAMILIES:
        if any(re.search(pattern, name) for name in names):
            has_biases = any(re.search(BIASES, n) and not re.search(MASKS, n) for n in names)
            what = f"biases, {reason}" if has_biases else reason
            raise CheckpointError(
                f"{path} is a checkpoint of {program}, which does not fit microgpt's architecture: "
                f"it has {what}"
            )


def _read_json(content: bytes, path: Path) -> Matrices:
    if content.startswith(PICKLES):
        raise CheckpointError(
            f"{path} is a pickle, as torch.save writes it, which can run code; save the state dict "
            "with save_file of safetensors.torch, or as JSON"
        )
    if len(content) > MAX_JSON:
        raise CheckpointError(f"{path} is larger than {MAX_JSON:,} bytes; save it as safetensors")
    return decode_json(content, path)


def _shape_of(matrices: Matrices, path: Path, n_head: int) -> ModelConfig:
    """Return the shape of a model; raise CheckpointError if its matrices do not determine one."""
    n_rows = []
    for name in ("wte", "wpe", "layer0.mlp_fc1"):
        if name not in matrices or not len(matrices[name]) or not len(matrices[name][0]):
            problem = "is empty" if name in matrices else "is missing"
            raise CheckpointError(f"{path} does not match {SCRIPT}: {name} {problem}")
        n_rows.append(len(matrices[name]))
    V, block_size, hidden = n_rows
    C = len(matrices["wte"][0])
    if hidden % C:
        raise CheckpointError(
            f"{path}: the hidden width of the MLP ({hidden}) is no multiple of the width ({C})"
        )
    n_layer = sum(name.endswith(".mlp_fc1") for name in matrices)
    return ModelConfig(C, n_head, n_layer, block_size, n_ff_exp=hidden // C, vocab_size=V)
