"""Directories for transformers: write a model with its receipt, and read one that may be untrusted.

    config.json, generation_config.json     the architecture; how to generate
    model.safetensors                       float32
    tokenizer.json, tokenizer_config.json   with the chat template
    receipt.json                            see `receipt`

A directory is accepted only if its small files equal those that microgpt writes for its receipt, so
transformers reads no other settings.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import (
    MAX_TOKENIZER_BYTES,
    TABLE,
    TOKENIZERS,
    CheckpointError,
    ExportFormat,
    ExportRequest,
    ModelConfig,
    Sampling,
    SavedModel,
    Tokenizer,
    Verification,
    check_extra,
    decode_tensors,
    printable,
    read,
)
from microgpt_exports.apertus import check_fits, check_tensors, settings_of, to_apertus
from microgpt_exports.comparison import running, verdict
from microgpt_exports.foreign_tokenizer import foreign_tokenizer, note_characters
from microgpt_exports.receipt import (
    DAMAGED,
    MAX_BYTES,
    Receipt,
    check_exportable,
    make_receipt,
    naming,
    read_receipt,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS, TOKENIZER, RECEIPT = "model.safetensors", "tokenizer.json", "receipt.json"
MAX_WEIGHTS = 2**34  # bytes
ADDED = ("added_tokens", "post_processor", "normalizer")  # keys of tokenizer.json; others are ours
ALSO = (".md", "LICENSE")  # ends of the names of other files that a directory may have


def encode_transformers(saved: SavedModel) -> dict[str, bytes]:
    """Return the content of each file of the directory of a model, by file name.

    Raises:
        ConfigError: the architecture is not Apertus, the model replies with a plug-in, or
            the source code of the architecture has been edited.
        CheckpointError: a weight is too large for float32.
    """
    from safetensors.numpy import save

    check_exportable(saved)  # first: the other errors would suggest a format or a training
    weights = save(to_apertus(saved.model, saved.weights), {"format": "pt"})
    receipt = make_receipt(saved, [weights]).model_dump_json(indent=2).encode()
    return _small_files(saved.model, saved.tokenizer) | {WEIGHTS: weights, RECEIPT: receipt}


def read_transformers(directory: Path) -> Receipt:
    """Check a directory that `encode_transformers` has written, and return its receipt.

    Raises:
        CheckpointError: a file cannot be read, is damaged, or is not of such a directory.
    """
    path, weights = directory / RECEIPT, read(directory / WEIGHTS, MAX_WEIGHTS)
    receipt = read_receipt(read(path, MAX_BYTES).decode(errors="replace"), path, len(weights))
    original = _original_tokenizer(receipt, directory)
    with naming(path, DAMAGED):
        check_fits(receipt.model)
        tokenizer = receipt.restored_tokenizer(original, path)
        expected = _small_files(receipt.model, tokenizer)
    for name, content in expected.items():
        file = directory / name
        receipt.check_written(file, is_equal=read(file, MAX_TOKENIZER_BYTES) == content)
    names = {*expected, WEIGHTS, RECEIPT}
    for other in sorted(each.name for each in directory.iterdir()):
        if other not in names and not other.startswith(".") and not other.endswith(ALSO):
            raise CheckpointError(
                f"{directory} contains a file that microgpt has not written: "
                f"{printable(other)}; remove it"
            )
    _check_weights(directory / WEIGHTS, weights, receipt)
    return receipt


class TransformersSession:
    """A model that transformers runs on the CPU; it loads no code from the directory.

    Raises:
        ConfigError: the extra transformers is missing.
        CheckpointError: transformers cannot run the model.
    """

    def __init__(self, directory: Path) -> None:
        check_extra(
            "microgpt-exports[transformers]", "Directories of transformers", "torch", "transformers"
        )
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        with running(f"transformers {transformers.__version__}"):
            model = transformers.AutoModelForCausalLM.from_pretrained(
                str(directory), local_files_only=True, trust_remote_code=False, use_safetensors=True
            )
        self._model = model.eval()
        parameters = signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"

    def read(self, tokens: Sequence[int], cache: Any) -> "tuple[NDArray[Any], Any]":
        """Return the logits after each token (T, V), and the new cache; None is an empty cache."""
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self._model.config) if cache is None else cache
        with torch.inference_mode():
            found = self._model(torch.tensor([tokens]), use_cache=True, **{self._cache_name: cache})
        return found.logits[0].numpy(), cache


def _encode(saved: SavedModel, request: ExportRequest) -> dict[Path, bytes]:
    files = encode_transformers(saved)
    note_characters(saved.tokenizer, request.note)
    return {request.output / name: content for name, content in files.items()}


def _verify(path: Path) -> Verification | None:
    if not (path / RECEIPT).exists():
        return None
    return verdict(read_transformers(path), TransformersSession(path))


TRANSFORMERS = ExportFormat(_encode, mark=RECEIPT, verify=_verify)


def _original_tokenizer(receipt: Receipt, directory: Path) -> str | None:
    """Return tokenizer.json as `BpeTokenizer` writes it, or None if the kind has no file."""
    kind = TOKENIZERS.get(receipt.tokenizer.tokenizer)  # an unknown one is refused later
    if not (kind and kind.has_file):
        return None
    path = directory / TOKENIZER
    try:
        facts = json.loads(read(path, MAX_TOKENIZER_BYTES))
        return json.dumps({**facts, **dict.fromkeys(ADDED), "added_tokens": []})
    except (TypeError, ValueError, RecursionError) as error:  # TypeError: it is not an object
        raise CheckpointError(f"{path} is not a valid tokenizer") from error


def _check_weights(path: Path, content: bytes, receipt: Receipt) -> None:
    """Raise CheckpointError if a file does not have the tensors of a receipt."""
    receipt.check_weights(path, [content])
    tensors = decode_tensors(content, path)
    with naming(path, "damaged: "):
        check_tensors(receipt.model, {name: each.shape for name, each in tensors.items()})
    if others := {each.dtype.name for each in tensors.values()} - {"float32"}:
        raise CheckpointError(f"{path} has tensors of {min(others)}; expected float32")


def _small_files(config: ModelConfig, tokenizer: Tokenizer) -> dict[str, bytes]:
    """Return the content of the files other than the weights and the receipt."""
    read = foreign_tokenizer(tokenizer)
    names = {token: name for name, token in read.special.items()}
    # Without BOS among the tokens that end a text, `generate` takes it for padding and ignores it.
    ends = sorted({read.end_id, read.bos_id})
    ids = {"bos_token_id": read.bos_id, "eos_token_id": ends, "pad_token_id": read.bos_id}
    generation: dict[str, object] = ids | {
        "do_sample": True,
        "temperature": Sampling.temperature,
        "top_k": 0,
        "max_length": config.block_size,
    }
    if read.suppressed:
        generation["suppress_tokens"] = read.suppressed
    files = {
        "config.json": settings_of(config) | ids,
        "generation_config.json": generation,
        TOKENIZER: _tokenizer_file(tokenizer, read.special),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": names[read.bos_id],
            "eos_token": names[read.end_id],
            "pad_token": names[read.bos_id],
            "additional_special_tokens": [*read.special],
            "model_max_length": config.block_size,
            "clean_up_tokenization_spaces": False,
            "chat_template": read.chat_template,
        },
    }
    return {
        name: (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode()
        for name, facts in files.items()
    }


def _tokenizer_file(tokenizer: Tokenizer, special: Mapping[str, int]) -> dict[str, object]:
    """Return the content of tokenizer.json, which puts BOS before each text."""
    facts: dict[str, object]
    if tokenizer.file:
        facts = json.loads(tokenizer.file)
    else:  # a BPE of characters without merges leaves out unknown characters
        vocabulary = {str(char): token for token, char in enumerate(tokenizer.piece_names)}
        facts = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "pre_tokenizer": None,
            "decoder": {"type": "Fuse"},
            "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
        }
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    bos, text = (
        {kind: {"id": id, "type_id": 0}}
        for kind, id in (("SpecialToken", "<|bos|>"), ("Sequence", "A"))
    )
    steps = [*_normalizers(tokenizer)]
    return facts | {
        "added_tokens": [
            {"id": token, "content": name, **flags, "special": True}
            for name, token in special.items()
        ],
        "normalizer": {"type": "Sequence", "normalizers": steps} if steps else None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, text],
            "pair": [bos, text, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {
                "<|bos|>": {
                    "id": "<|bos|>", "ids": [tokenizer.bos_id], "tokens": ["<|bos|>"],
                }
            },
        },
    }  # fmt: skip


def _normalizers(tokenizer: Tokenizer) -> Iterator[dict[str, object]]:
    """Yield the steps that change a text before it is encoded, as `fold` and `reading` do."""
    if tokenizer.folds:
        yield {"type": "NFKD"}
        yield {"type": "Lowercase"}
        yield {"type": "NFKD"}
        yield {"type": "Replace", "pattern": {"Regex": "[\u0300-\u036f]"}, "content": ""}
        yield {"type": "NFC"}
        for code, text in (TABLE | {ord("ß"): "ss"}).items():
            yield {"type": "Replace", "pattern": {"String": chr(code)}, "content": text}
    spaces = "".join(each for each in tokenizer.chars or () if each.isspace())
    if " " in spaces:
        other = f"[^\\S{spaces}]"
        yield {"type": "Replace", "pattern": {"Regex": other}, "content": " "}
